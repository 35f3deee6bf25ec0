-- What all scripts of a partition share; each begins with this.
--
-- KEYS[1..3] are the partition's head, due and log. Keys of single resources and holders are
-- made from their names: a sweep learns them only from what it finds. All of them have the
-- partition's hash tag.
--
-- A resource's name is "<organization>/<resource>". A hold's field is its holder id, of 32
-- characters, and its hold id. A hold is live while expiry >= now. A dead one counts for nothing,
-- and whoever meets it ends it.

local head, due, log = KEYS[1], KEYS[2], KEYS[3]
local tag = string.match(head, '^(.*}):')
local HOLDER_LENGTH = 32
local LEFT, EXPIRED = 1, 2  -- EndReason

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- A double past 2^53 / 10 would be written with an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

local function holds_of(name)
  return tag .. ':holds:' .. name
end

local function tombstone_of(name, field)
  return tag .. ':ended:' .. name .. '/' .. field
end

local function resources_of(name, field)
  return tag .. ':holder:' .. string.match(name, '^[^/]*/') .. string.sub(field, 1, HOLDER_LENGTH)
end

-- A hold as it is stored: its first quantum, the one after its last, its expiry in microseconds
-- since 1970, whether it is overdue, since when it is held, in microseconds likewise, its units,
-- and the event type that it names, to the end.
--
-- The version before this one wrote the first four and reads no more of them. While servers of
-- both run, and for a timeout after, either meets holds of the other: one without the rest was
-- there before all others, has one unit and names no event type.
local HOLD, LENGTH = '>I4I4dBdI4', 29
local SHORT = '>I4I4dB'
local BEFORE_EXPIRY, AFTER_OVERDUE = 8, 18

local function packed(first, stop, expiry, overdue, acquired, units, event_type)
  return struct.pack(HOLD, first, stop, expiry, overdue, acquired, units) .. event_type
end

local function unpacked(value)
  if #value < LENGTH then
    local first, stop, expiry, overdue = struct.unpack(SHORT, value)
    return first, stop, expiry, overdue, 0, 1, ''
  end
  local first, stop, expiry, overdue, acquired, units = struct.unpack(HOLD, value)
  return first, stop, expiry, overdue, acquired, units, string.sub(value, LENGTH + 1)
end

-- The same hold with another expiry, whatever else is stored of it.
local function prolonged(value, expiry, overdue)
  return string.sub(value, 1, BEFORE_EXPIRY) .. struct.pack('>dB', expiry, overdue)
    .. string.sub(value, AFTER_OVERDUE)
end

-- What this call changed: by resource, by field, how it was before the call and how it is now.
local changed, order = {}, {}

local function note(name, field, before, after, reason)
  local fields = changed[name]
  if not fields then
    fields = {order = {}}
    changed[name] = fields
    order[#order + 1] = name
  end
  local change = fields[field]
  if not change then
    change = {before = before}
    fields[field] = change
    fields.order[#fields.order + 1] = field
  end
  change.after, change.reason = after, reason
end

-- The partition's epoch and revision. An epoch ends where the store may have lost writes: it
-- was started anew, or a replica took its place.
local function position()
  local known = redis.call('HMGET', head, 'epoch', 'revision', 'run', 'replid')
  local epoch, revision = tonumber(known[1] or 0), tonumber(known[2] or 0)
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if known[3] ~= run or known[4] ~= replid then
    epoch = math.max(now, epoch + 1)
    redis.call('DEL', log)
    redis.call('HSET', head, 'epoch', whole(epoch), 'revision', whole(revision),
      'run', run, 'replid', replid)
  end
  return epoch, revision
end

-- A change in the log: span before, span and expiry now (zeros: none), whether it is overdue,
-- why it is gone, the field's length, the field. Beside it, since when it is held and its units:
-- apart, since the version before knows only entries without them.
local CHANGE, BESIDE = '>I4I4I4I4dBBB', '>dI4'

local function packed_change(field, change)
  local was_first, was_stop, first, stop, expiry, overdue = 0, 0, 0, 0, 0, 0
  local acquired, units = 0, 0
  if change.before then
    was_first, was_stop = unpacked(change.before)
  end
  if change.after then
    first, stop, expiry, overdue, acquired, units = unpacked(change.after)
  end
  return struct.pack(CHANGE, was_first, was_stop, first, stop, expiry, overdue,
    change.reason, #field) .. field, struct.pack(BESIDE, acquired, units)
end

-- The instant of an acquisition: the order of the partition's acquisitions, whatever its clock.
local last_acquired

local function acquisition()
  if not last_acquired then
    last_acquired = tonumber(redis.call('HGET', head, 'acquired') or 0)
  end
  last_acquired = math.max(now, last_acquired + 1)
  return last_acquired
end

-- Writes what this call changed into the log: one revision and one entry a resource. To be
-- called once, at the end. A call that changed nothing costs nothing here.
local function announce(log_length)
  local epoch, revision
  for _, name in ipairs(order) do
    local records, beside = {}, {}
    for _, field in ipairs(changed[name].order) do
      local change = changed[name][field]
      if change.before or change.after then
        records[#records + 1], beside[#beside + 1] = packed_change(field, change)
      end
    end
    if #records > 0 then
      if not epoch then
        epoch, revision = position()
      end
      revision = revision + 1
      redis.call('XADD', log, 'MAXLEN', '~', log_length, whole(revision) .. '-0',
        'epoch', whole(epoch), 'name', name, 'changes', table.concat(records),
        'beside', table.concat(beside))
    end
  end
  if epoch then
    redis.call('HSET', head, 'revision', whole(revision))
  end
  if last_acquired then
    redis.call('HSET', head, 'acquired', whole(last_acquired))
  end
end

-- Ends a hold that is there, whose value is ``value``.
local function finish(name, field, value, reason)
  redis.call('HDEL', holds_of(name), field)
  redis.call('ZREM', due, name .. '\n' .. field)
  note(name, field, value, nil, reason)
end

-- A heartbeat in flight, or one that was to renew the hold, finds the tombstone and does not take
-- it again: where the holder left, only the renewal; else also whoever asks for the same span.
local function bury(name, field, value, reason, milliseconds)
  local epitaph = reason
  if reason ~= LEFT then
    local first, stop = unpacked(value)
    epitaph = reason .. '/' .. first .. '/' .. stop
  end
  redis.call('SET', tombstone_of(name, field), epitaph, 'PX', milliseconds)
end

-- Ends a hold because its holder left; says whether it was live.
local function leave(name, field, tombstone_milliseconds)
  local value = redis.call('HGET', holds_of(name), field)
  if not value then
    return 0
  end
  local _, _, expiry = unpacked(value)
  if expiry < now then
    finish(name, field, value, EXPIRED)
    return 0
  end
  finish(name, field, value, LEFT)
  bury(name, field, value, LEFT, tombstone_milliseconds)
  return 1
end

-- Every hold of a resource that is live: field, value, field, value, ...
local function live_holds(name)
  local all = redis.call('HGETALL', holds_of(name))
  local live = {}
  for i = 1, #all, 2 do
    local _, _, expiry = unpacked(all[i + 1])
    if expiry < now then
      finish(name, all[i], all[i + 1], EXPIRED)
    else
      live[#live + 1] = all[i]
      live[#live + 1] = all[i + 1]
    end
  end
  return live
end
