"""The door for SMTP: a submission server for an existing mail connector."""
