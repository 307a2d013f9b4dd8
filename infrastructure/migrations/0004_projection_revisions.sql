-- Which form of its tables a projection has filled. A process whose code makes another form must not go on
-- from there: it would write rows of one form among rows of the other (DESIGN section 7).
ALTER TABLE read.positions ADD COLUMN revision text NOT NULL DEFAULT '';
