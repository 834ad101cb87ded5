-- Everybody's hours.
--
-- Gives   one row a day, local hour and account: looks (ok, no export), failed (not ok), records (what was shown); in no
--         order.
-- Inputs  look: coded accesses with day and hour.
-- Codes   outcome 0 ok; action 3 export.
SELECT day, hour, actor,
       COUNT(CASE WHEN outcome = 0 AND action <> 3 THEN 1 END) AS looks,
       COUNT(CASE WHEN outcome <> 0 THEN 1 END) AS failed,
       CAST(SUM(CASE WHEN outcome = 0 THEN records ELSE 0 END) AS BIGINT) AS records
  FROM look
 GROUP BY day, hour, actor;
