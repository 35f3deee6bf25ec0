"""The statements of a ledger transaction, in the order in which they lock.

Request keys, booking rows, capacity rows, day rows, and the organization's feed last: each
bytewise, so that no two transactions wait for one another. A request key, and an id that a caller
chose for a booking, is locked by its hash before anything is read, and its row written at the
end: a refusal leaves nothing behind.

READ COMMITTED: each statement sees what was committed before it began, and a row that it locks
as it is once the lock is held. What is read beside a locked row (a booking's items, say) may be
older than the row: nothing is decided by it.

Rows travel as one JSON text a statement: the driver's arrays cost more than the statement.

A lateral look-up behind "offset 0" or a lock is one by key for each row that is wanted, whatever
PostgreSQL thinks of the tables' sizes when it makes the plan; an update then goes by the place of
a row that is locked already. The arrays of days are sorted: so are their locks.
"""

from __future__ import annotations

from typing import Final, LiteralString

IMPATIENT: Final[LiteralString] = "set local lock_timeout to '100ms'"

LOCK_KEYS: Final[LiteralString] = """
select pg_advisory_xact_lock(k) from unnest(%(locks)s::bigint[]) as k
"""

ANSWERS: Final[LiteralString] = """
select w.method, w.request_id::text, k.content_hash, k.answer
from unnest(%(methods)s::text[], %(requests)s::uuid[]) as w (method, request_id)
cross join lateral (
  select content_hash, answer from request_keys
  where organization_id = %(org)s and method = w.method and request_id = w.request_id offset 0
) k
"""

NAMESAKES: Final[LiteralString] = """
select booking_id from bookings
where organization_id = %(org)s and booking_id = any(%(ids)s::text[])
"""

LOCK_BOOKINGS: Final[LiteralString] = """
select booking_id, revision from bookings
where organization_id = %(org)s and booking_id = any(%(ids)s::text[])
order by booking_id for no key update
"""

MAKE_CAPACITIES: Final[LiteralString] = """
insert into capacities (organization_id, resource_id, units, version)
select %(org)s, r, 1, 0 from unnest(%(resources)s::text[]) as r order by r
on conflict do nothing
"""

# Nothing was written, and nothing need be waited for. A rollback would do the same, but the
# driver forgets all that it has prepared when it sees one.
UNWRITTEN: Final[LiteralString] = "set local synchronous_commit to off"

# Claims share the lock; who changes the number waits for them, and they for the change.
SHARE_CAPACITIES: Final[LiteralString] = """
select resource_id, units from capacities
where organization_id = %(org)s and resource_id = any(%(resources)s::text[])
order by resource_id for share
"""

LOCK_CAPACITY: Final[LiteralString] = """
select units from capacities
where organization_id = %(org)s and resource_id = %(resource)s for no key update
"""

LOCK_DAYS: Final[LiteralString] = """
select d.resource_id, d.day, d.busy, d.version, d.taken
from unnest(%(resources)s::text[], %(days)s::date[]) as w (resource_id, day)
cross join lateral (
  select * from days
  where organization_id = %(org)s and resource_id = w.resource_id and day = w.day
  for no key update
) d
"""

LOCK_ALL_DAYS: Final[LiteralString] = """
select resource_id, day, busy, version, taken from days
where organization_id = %(org)s and resource_id = %(resource)s
order by day for no key update
"""

# Read after the day is locked: whoever changes what occupies it holds that lock.
OCCUPYING: Final[LiteralString] = """
select i.units, i.first_quantum, i.stop_quantum, i.pool
from booking_items i cross join lateral (
  select b.state from bookings b
  where b.organization_id = i.organization_id and b.booking_id = i.booking_id offset 0) b
where i.organization_id = %(org)s and i.resource_id = %(resource)s
  and i.start_time > %(from)s and i.start_time < %(until)s
  and i.first_quantum < %(stop)s and i.stop_quantum > %(first)s and b.state = any(%(states)s)
"""

CHANGE_BOOKINGS: Final[LiteralString] = """
update bookings b set state = r.state, revision = r.revision, sequence = r.sequence,
  start_time = r.start, end_time = r.end, cancel_reason = r.reason, updated_at = r.updated,
  due_at = r.due
from json_to_recordset(%(rows)s::json) as r (id text, state smallint, revision int, sequence int,
  start timestamptz, "end" timestamptz, reason text, updated timestamptz, due timestamptz)
cross join lateral (
  select ctid as place from bookings
  where organization_id = %(org)s and booking_id = r.id offset 0
) o
where b.ctid = o.place
"""

MOVE_ITEMS: Final[LiteralString] = """
update booking_items i set units = r.units, first_quantum = r.first, stop_quantum = r.stop,
  start_time = r.start, pool = r.pool
from json_to_recordset(%(rows)s::json) as r (id text, ordinal smallint, units int, first int,
  stop int, start timestamptz, pool boolean)
cross join lateral (
  select ctid as place from booking_items
  where organization_id = %(org)s and booking_id = r.id and ordinal = r.ordinal offset 0
) o
where i.ctid = o.place
"""

# The last lock: whoever holds it commits before whoever waits for it.
NEXT_NUMBER: Final[LiteralString] = """
insert into feeds as f (organization_id, number) values (%(org)s, 1)
on conflict (organization_id) do update set number = f.number + 1
returning number
"""

NUMBER_TAKEN: Final[LiteralString] = "select number from feeds where organization_id = %(org)s"

# Everything is written only if there is a feed number. What is stamped with it are days, and events
# in the order in which they were decided. The other rows are of bookings and keys that are locked,
# or that nobody else can make: their order is nobody's business. An event has the database's time:
# it is kept as long as it must be whatever a service's clock says.
#
# A day that had no row could not be locked. Should another transaction have made one meanwhile,
# its key is taken, and everything is decided again.
_WRITE: Final[LiteralString] = """
, created as (
  insert into days (organization_id, resource_id, day, busy, taken, version)
  select %(org)s, r.resource, r.day, r.busy::bit(96), decode(r.taken, 'hex'), feed.number
  from feed cross join json_to_recordset(%(new)s::json) as r (resource text, day date, busy text,
    taken text)
  order by r.resource, r.day
), changed as (
  update days d set busy = r.busy::bit(96), taken = decode(r.taken, 'hex'), version = o.number
  from json_to_recordset(%(known)s::json) as r (resource text, day date, busy text, taken text)
  cross join lateral (
    select days.ctid as place, feed.number from feed cross join days
    where organization_id = %(org)s and resource_id = r.resource and day = r.day offset 0
  ) o
  where d.ctid = o.place
  returning 1
), booking as materialized (
  select * from json_to_recordset(%(bookings)s::json) as r (id text, kind smallint, state smallint,
    revision int, sequence int, event_type text, title text, start timestamptz,
    "end" timestamptz, booker text, name text, email text, location text, zone text, reason text,
    block text, created timestamptz, updated timestamptz, due timestamptz, needs boolean,
    hash text, token int, event text, actor text, why text, overridden boolean)
), made as (
  insert into bookings (organization_id, booking_id, kind, state, revision, sequence,
    event_type_id, event_type_title, start_time, end_time, booker_id, booker_name, booker_email,
    location, time_zone, cancel_reason, block_reason, created_at, updated_at, due_at,
    needs_confirmation, token_hash, token_version)
  select %(org)s, r.id, r.kind, r.state, r.revision, r.sequence, r.event_type, r.title, r.start,
    r.end, r.booker, r.name, r.email, r.location, r.zone, r.reason, r.block, r.created, r.updated,
    r.due, r.needs, decode(r.hash, 'hex'), r.token
  from feed cross join booking r
), held as (
  insert into booking_items (organization_id, booking_id, ordinal, resource_id, units,
    first_quantum, stop_quantum, start_time, pool)
  select %(org)s, r.id, r.ordinal, r.resource, r.units, r.first, r.stop, r.start, r.pool
  from feed cross join json_to_recordset(%(items)s::json) as r (id text, ordinal smallint,
    resource text, units int, first int, stop int, start timestamptz, pool boolean)
), past as (
  insert into booking_history (organization_id, booking_id, revision, event, state, actor, reason,
    created_at, overridden, start_time, end_time)
  select %(org)s, r.* from feed cross join (
    select id, revision, event, state, actor, why, updated, overridden, start, "end" from booking
    union all
    select id, revision, event, state, actor, why, updated, overridden, start, "end"
    from json_to_recordset(%(history)s::json) as r (id text, revision int, event text,
      state smallint, actor text, why text, updated timestamptz, overridden boolean,
      start timestamptz, "end" timestamptz)
  ) r
), decided as materialized (
  select * from json_to_recordset(%(decided)s::json) as r (ordinal smallint, kind text, id text,
    revision int, method text, request uuid, hash text, answer text)
), answered as (
  insert into request_keys (organization_id, method, request_id, content_hash, answer)
  select %(org)s, r.method, r.request, decode(r.hash, 'hex'), decode(r.answer, 'hex')
  from feed cross join decided r where r.method is not null
), told as (
  insert into outbox (organization_id, feed, ordinal, kind, booking_id, revision, payload,
    created_at)
  select %(org)s, feed.number, r.ordinal, r.kind, r.id, r.revision,
    case when r.ordinal = 0 then %(told)s::jsonb else '{}'::jsonb end, now()
  from feed cross join decided r
)
"""

_NUMBER: Final[LiteralString] = "select number from feed"

WRITE: Final[LiteralString] = f"with feed as ({NEXT_NUMBER}){_WRITE}{_NUMBER}"

WRITE_WITH_NUMBER: Final[LiteralString] = f"with feed as ({NUMBER_TAKEN}){_WRITE}{_NUMBER}"

# Nothing where a day is not what it was remembered as, a request has its answer, or a booking its
# id. A day is compared as a whole: what was decided by it is right, whatever else has happened. Its
# version tells that it was written since, be it with the same bits: the statement's snapshot may be
# older than that, and have the row in another place, where the update misses it. Should that happen
# all the same (a store that was restored counts versions anew), a division by zero undoes it all.
# Locks are taken as by the statements above, in their order: the feed waits for the count of days.
# A miss has locked rows, and written nothing: its commit waits for no disk.
WRITE_AS_REMEMBERED: Final[LiteralString] = f"""
with locked as materialized (
  select d.is_same
  from unnest(%(resources)s::text[], %(days)s::date[], %(remembered)s::bit(96)[],
    %(versions)s::bigint[]) as w (resource_id, day, busy, version)
  cross join lateral (
    select days.busy = w.busy and days.version = w.version and taken = '' as is_same from days
    where organization_id = %(org)s and resource_id = w.resource_id and day = w.day
    for no key update
  ) d
), sure as materialized (
  select 1 as number from locked
  having count(*) = %(count)s::int and coalesce(bool_and(is_same), true)
    and not exists (
      select from unnest(%(methods)s::text[], %(requests)s::uuid[]) as w (method, request_id)
      cross join lateral (
        select from request_keys
        where organization_id = %(org)s and method = w.method and request_id = w.request_id
        offset 0
      ) k)
    and not exists (
      select from bookings
      where organization_id = %(org)s and booking_id = any(%(ids)s::text[]))
), feed as (
  insert into feeds as f (organization_id, number) select %(org)s, number from sure
  on conflict (organization_id) do update set number = f.number + 1
  returning number
){_WRITE}
select (
  select number / case when (select count(*) from changed) = json_array_length(%(known)s::json)
    then 1 else 0 end from feed
), case when not exists (select from sure) then set_config('synchronous_commit', 'off', true) end
"""  # noqa: S608  # a LiteralString: no value is put in

CHANGE_CAPACITY: Final[LiteralString] = """
update capacities set units = %(units)s,
  version = (select number from feeds where organization_id = %(org)s)
where organization_id = %(org)s and resource_id = %(resource)s
"""

ANSWER: Final[LiteralString] = """
select content_hash, answer from request_keys
where organization_id = %(org)s and method = %(method)s and request_id = %(request)s
"""
