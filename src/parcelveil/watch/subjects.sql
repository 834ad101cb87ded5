-- Who comes back to the same person without any work: neighbours, former partners, celebrities.
--
-- Gives   one row an account and subject: looks, parcels (different ones), days (different ones), first and last (times);
--         in the order of (actor, subject).
-- Inputs  open_row: see explain.sql, of as many days as are to be seen together.
-- Params  least: subjects with fewer looks are left out.
-- Codes   outcome 0 ok.
SELECT actor, subject, COUNT(*) AS looks, COUNT(DISTINCT waybill) AS parcels, COUNT(DISTINCT day) AS days,
       MIN(time) AS first, MAX(time) AS last
  FROM open_row
 WHERE subject <> 0 AND outcome = 0 AND settled = 0
 GROUP BY actor, subject
HAVING COUNT(*) >= $least
 ORDER BY actor, subject;
