-- The work at the parcels that somebody looked at.
--
-- Gives   near_work: coded work events, those of all_work whose parcel is in look.
-- Inputs  look: coded accesses.  all_work: coded work events.
DROP TABLE IF EXISTS near_work;
CREATE TEMPORARY TABLE near_work AS
SELECT * FROM all_work WHERE waybill IN (SELECT waybill FROM look WHERE outcome = 0 AND waybill <> 0);
