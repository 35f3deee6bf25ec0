"""The statement of the baseline that books one by one: a whole transaction, in one round trip.

It is how the ledger decided bookings before it committed them in groups. One statement sees one
snapshot of the tables, which decides nothing here: it only turns away what is evidently refused,
before a row is locked. The decision falls on locked rows, which PostgreSQL reads anew. Each step
reads from the step before it, and that alone makes PostgreSQL run and lock in this order: request
key, booking, days by resource and date, feed.

Conditions on ``any`` of the wanted resources and days say nothing new: they bound the rows that
are looked at, whatever PostgreSQL thinks of the tables' sizes when it makes the plan.

What loses a race after its first lock undoes itself by casting false to ``must_hold``; the
statement is then run again, and its new snapshot knows why.
"""

from __future__ import annotations

from typing import Final

from tests.load.baseline_store import INSERT_BOOKING, INSERT_HISTORY, compact

NAME: Final = "single"
LOST_RACE: Final = "lost_race"
"""The constraint of ``must_hold``."""

# %(patience)s: milliseconds for each lock. The request key's lock is the first.
# A day without a row cannot be locked before the feed is: such rows are made first, empty, and
# the statement is run again. Nothing else is written then.
CREATE: Final = compact(f"""
with bound as materialized (
  select set_config('lock_timeout', %(patience)s, true)
), wanted as (
  select * from unnest(%(resources)s::text[], %(days)s::date[], %(bits)s::text[]::bit(96)[])
    as w (resource_id, day, bits)
), answered as (
  select content_hash, answer from request_keys
  where organization_id = %(org)s and method = %(method)s and request_id = %(request)s
), namesake as (
  select 1 as found from bookings where organization_id = %(org)s and booking_id = %(id)s
), seen as (
  select w.resource_id, w.day, d.busy is null as is_new, d.busy & w.bits as taken
  from wanted w left join days d
    on d.organization_id = %(org)s and d.resource_id = w.resource_id and d.day = w.day
    and d.resource_id = any(%(resources)s) and d.day = any(%(days)s)
), gate as (
  select bool_or(is_new) as is_new from seen
  having not exists (select from answered) and not exists (select from namesake)
    and coalesce(bool_and(taken = 0::bit(96)), true)
), fresh as (
  insert into days (organization_id, resource_id, day, busy, version, taken)
  select %(org)s, resource_id, day, 0::bit(96), 0, '' from seen
  where is_new and exists (select from gate where gate.is_new)
  order by resource_id, day
  on conflict do nothing
), key as (
  insert into request_keys (organization_id, method, request_id, content_hash, answer)
  select %(org)s, %(method)s, %(request)s, %(hash)s, %(answer)s from gate, bound
  where not gate.is_new
  on conflict do nothing
  returning 1 as made
), booking as (
  {INSERT_BOOKING}
  from key
  on conflict do nothing
  returning 1 as made
), locked as materialized (
  select d.busy & w.bits = 0::bit(96) as is_free
  from booking, wanted w join days d
    on d.organization_id = %(org)s and d.resource_id = w.resource_id and d.day = w.day
    and d.resource_id = any(%(resources)s) and d.day = any(%(days)s)
  order by d.resource_id, d.day
  for no key update of d
), whole as materialized (
  select (count(*) filter (where is_free) = cardinality(%(days)s::date[]))::must_hold as holds
  from key left join locked on true
  having count(key.made) > 0
), feed as (
  insert into feeds as f (organization_id, number) select %(org)s, 1 from whole where holds
  on conflict (organization_id) do update set number = f.number + 1
  returning number
), changed as (
  update days d set busy = d.busy | w.bits, version = feed.number from feed, wanted w
  where d.organization_id = %(org)s and d.resource_id = w.resource_id and d.day = w.day
    and d.resource_id = any(%(resources)s) and d.day = any(%(days)s)
  returning d.resource_id, d.day, d.busy
), item as (
  insert into booking_items (organization_id, booking_id, ordinal, resource_id, units,
    first_quantum, stop_quantum, start_time, pool)
  select %(org)s, %(id)s, i.ordinal, i.resource_id, i.units, i.first, i.stop, %(start)s, false
  from feed, unnest(%(item_resources)s::text[], %(item_units)s::int[], %(item_firsts)s::int[],
    %(item_stops)s::int[]) with ordinality as i (resource_id, units, first, stop, ordinal)
), history as (
  {INSERT_HISTORY}
  from feed
), event as (
  insert into outbox (organization_id, feed, ordinal, kind, booking_id, revision, payload,
    created_at)
  select %(org)s, feed.number, 0, %(event)s, %(id)s, %(revision)s, jsonb_build_object('days', (
    select jsonb_agg(jsonb_build_array(resource_id, day, busy)) from changed)), %(now)s
  from feed
)
select feed.number, a.content_hash, a.answer, n.found, t.resource_id, t.day, t.taken,
  c.resource_id, c.day, c.busy
from (select 1) one left join feed on true left join answered a on true
  left join namesake n on true
  left join seen t on taken <> 0::bit(96)
  left join changed c on true
""")  # a LiteralString: no value is put in
