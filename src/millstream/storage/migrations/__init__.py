"""The steps that build the schema: plain SQL in `versions/`, carried by alembic, found by number.

A step is one file `NNNN_what_it_brings.sql`; its number is its revision and follows the one before without a gap.
A step that was released is never edited: the next one changes what it brought. Write steps that the code
before them can live with (add first, remove a release later), so that workers may be replaced one by one.
"""
