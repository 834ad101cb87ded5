-- Who had the route of a parcel that went out for delivery without an account being named.
--
-- Gives   held(work, waybill, time, holder, received, ended): whoever was known to have the route at `time`, from
--         `received` on and until before `ended`, when a later assignment or release became known.
-- Inputs  work: coded work events.  route: those of them with a route that assign or release one.
-- Params  held: microseconds that an assignment lasts when nothing ends it.
-- Codes   steps 5 out_for_delivery, 11 route_assigned.  9223372036854775807: never.
--
-- Events of a route are numbered in the order of time; of one moment an assignment counts more than a release (its code
-- is greater), then the greater id. Nearly always the event after the assignment tells at once: it came later than the
-- parcel went out, or was known by then. Only for the few others all later events are asked.
DROP TABLE IF EXISTS route_turn;
CREATE TEMPORARY TABLE route_turn AS
SELECT route, actor, step, time, received, turn,
       COALESCE(LEAD(time) OVER (PARTITION BY route ORDER BY turn), 9223372036854775807) AS next_time,
       COALESCE(LEAD(received) OVER (PARTITION BY route ORDER BY turn), 9223372036854775807) AS next_received
  FROM (SELECT route, actor, step, time, received,
               ROW_NUMBER() OVER (PARTITION BY route ORDER BY time, step, id, actor) AS turn
          FROM route) t;

DROP TABLE IF EXISTS held_maybe;
CREATE TEMPORARY TABLE held_maybe AS
SELECT w.id AS work, w.waybill AS waybill, w.time AS time, a.actor AS holder, w.route AS route, a.turn AS turn,
       CASE WHEN a.received > w.received THEN a.received ELSE w.received END AS received,
       CASE WHEN a.next_time > w.time THEN 0 ELSE 1 END AS doubtful
  FROM work w
  JOIN route_turn a ON a.route = w.route
 WHERE w.step = 5 AND w.actor = -1 AND w.route >= 0 AND w.waybill <> 0
   AND a.step = 11 AND a.actor >= 0
   AND a.time <= w.time AND a.time >= w.time - $held
   AND (a.next_time > w.time OR (a.next_received > a.received AND a.next_received > w.received));

DROP TABLE IF EXISTS held;
CREATE TEMPORARY TABLE held AS
SELECT work, waybill, time, holder, received, 9223372036854775807 AS ended FROM held_maybe WHERE doubtful = 0
UNION ALL
SELECT m.work, m.waybill, m.time, m.holder, m.received, MIN(b.received)
  FROM held_maybe m
  JOIN route_turn b ON b.route = m.route AND b.turn > m.turn AND b.time <= m.time
 WHERE m.doubtful = 1
 GROUP BY m.work, m.waybill, m.time, m.holder, m.received, m.turn
HAVING MIN(b.received) > m.received;

DROP TABLE held_maybe;
DROP TABLE route_turn;
