-- The work that explains each look, or comes nearest, by name.
--
-- Gives   one row a look at whose parcel there was any work with a rule: place, id (of the look), work (id of the event),
--         step, time (of the event), number (of the rule), level, whom, failed, gap, received. `failed` 0: it explains the
--         look, and of several it is the highest level, then the nearest. Else what does not fit, as a sum: 1 it is somebody
--         else's (another account, outlet, role or ticket), 2 too early or too late, by `gap` microseconds (below 0: the look
--         came so much too early), 4 received after the day was settled, 8 the viewer opened the ticket; of several the one
--         that lacks least, then the account's own, then the nearest. In the order of place.
-- Inputs  open_row: see explain.sql.  reason: see work_by_rule.sql.
-- Params  offset, day, grace: see explain.sql.
SELECT place, id, work, step, time, number, level, whom, failed, gap, received
  FROM (SELECT p.*,
               ROW_NUMBER() OVER (
                   PARTITION BY place
                   ORDER BY misses, nobody, other, CASE misses WHEN 0 THEN -level ELSE 0 END, CASE WHEN gap < 0 THEN -gap ELSE gap END,
                            CASE WHEN apart < 0 THEN -apart ELSE apart END, level DESC, number, work, received, failed
               ) AS choice
          FROM (SELECT q.*, other + 2 * untimely + 4 * late + 8 * own AS failed, other + untimely + late + own AS misses
                  FROM (SELECT l.place AS place, l.id AS id, r.work AS work, r.step AS step, r.time AS time,
                               r.number AS number, r.level AS level, r.whom AS whom,
                               r.received AS received, l.time - r.time AS apart,
                               CASE WHEN r.who >= 0 AND r.who = CASE r.whom WHEN 1 THEN l.actor WHEN 2 THEN l.outlet
                                                                            WHEN 3 THEN l.ticket ELSE l.role END
                                    THEN 0 ELSE 1 END AS other,
                               CASE WHEN r.who >= 0 THEN 0 ELSE 1 END AS nobody,
                               CASE WHEN r.since <= l.time AND r.until >= l.time THEN 0 ELSE 1 END AS untimely,
                               CASE WHEN (r.received <= l.received AND r.ended > l.received)
                                      OR (r.received < l.settles AND r.ended >= l.settles) THEN 0 ELSE 1 END AS late,
                               CASE WHEN r.opener = l.actor THEN 1 ELSE 0 END AS own,
                               CASE WHEN l.time < r.since THEN l.time - r.since
                                    WHEN l.time > r.until THEN l.time - r.until ELSE 0 END AS gap
                          FROM (SELECT o.*,
                                       time + $offset - (time + $offset) % $day - $offset + $day + $grace AS settles
                                  FROM open_row o) l
                          JOIN reason r ON r.waybill = l.waybill
                         WHERE l.waybill <> 0) q) p) c
 WHERE choice = 1
 ORDER BY place;
