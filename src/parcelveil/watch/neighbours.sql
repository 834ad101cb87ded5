-- Who walks through numbers: steps between one look without a reason and the account's next.
--
-- Gives   one row a day and account: looks (with a serial), near (steps by 1 to 3, up or down), onward (those of them that
--         go up); in the order of (day, actor).
-- Inputs  open_row: see explain.sql.
SELECT day, actor, COUNT(*) AS looks,
       COUNT(CASE WHEN step BETWEEN -3 AND -1 OR step BETWEEN 1 AND 3 THEN 1 END) AS near,
       COUNT(CASE WHEN step BETWEEN 1 AND 3 THEN 1 END) AS onward
  FROM (SELECT day, actor, serial - LAG(serial) OVER (PARTITION BY day, actor ORDER BY place) AS step
          FROM open_row
         WHERE serial >= 0 AND settled <= 0) s
 GROUP BY day, actor
 ORDER BY day, actor;
