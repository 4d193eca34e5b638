"""The job engine: procrastinate on the same Postgres, its worker, and the sweeps that find what is due."""
