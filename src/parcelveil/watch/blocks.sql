-- Who covers a block of numbers that were issued together: alone, from one device, or from one network by many accounts.
--
-- Gives   one row a day, kind (1 account, 2 device, 3 network), who and block (its first serial): covered (different
--         serials), looks, notfound, actors (different accounts); in the order of (day, kind, who, block).
-- Inputs  open_row: see explain.sql.
-- Params  size: serials of a block.  least: blocks with fewer covered are left out.
-- Codes   outcome 2 notfound.
SELECT day, kind, who, block, COUNT(DISTINCT serial) AS covered, COUNT(*) AS looks,
       COUNT(CASE WHEN outcome = 2 THEN 1 END) AS notfound, COUNT(DISTINCT actor) AS actors
  FROM (SELECT day, 1 AS kind, actor AS who, actor, outcome, serial, serial - serial % $size AS block
          FROM open_row WHERE serial >= 0 AND settled <= 0
         UNION ALL
        SELECT day, 2, device, actor, outcome, serial, serial - serial % $size
          FROM open_row WHERE serial >= 0 AND settled <= 0 AND device >= 0
         UNION ALL
        SELECT day, 3, network, actor, outcome, serial, serial - serial % $size
          FROM open_row WHERE serial >= 0 AND settled <= 0 AND network >= 0) b
 GROUP BY day, kind, who, block
HAVING COUNT(DISTINCT serial) >= $least
 ORDER BY day, kind, who, block;
