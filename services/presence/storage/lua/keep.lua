-- Keeps holds of one partition: renews, acquires, swaps or leaves each. A hold gets all its
-- quanta or none, whatever becomes of the others.
--
-- ARGV  1 timeout in microseconds   2 how long before its expiry a hold is overdue, likewise
--       3 live holds a holder may have on a resource   4 length of the log
--       then for each: what to do ('acquire', 'renew' or 'leave'), resource's name, holder id,
--       hold id, first quantum, the quantum after the last, rule ('exclusive', 'shared' or ''
--       where it is not known)
-- Returns for each, in order: {'kept', expiry}, {'unjudged'} (no rule, nothing to renew), {'full'},
--       {'held', first, stop, ...} with the spans in the way, {'ended', reason} (renew only: it
--       was ended by another call) or {'left', 1 or 0}

local timeout, lead, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local expiry = now + timeout
local milliseconds = math.ceil(timeout / 1000)

-- Renewals never come here, so going through all holds of the resource is rare.
local function refusal(name, holder, field, first, stop, rule)
  local live = live_holds(name)
  local conflicts, own = {'held'}, 0
  for i = 1, #live, 2 do
    if string.sub(live[i], 1, HOLDER_LENGTH) == holder then
      if live[i] ~= field then
        own = own + 1
      end
    elseif rule == 'exclusive' then
      local held_first, held_stop = unpacked(live[i + 1])
      if held_first < stop and first < held_stop then
        conflicts[#conflicts + 1] = held_first
        conflicts[#conflicts + 1] = held_stop
      end
    end
  end
  if #conflicts > 1 then
    return conflicts
  end
  if own >= limit then
    return {'full'}
  end
  return nil
end

local function write(name, field, first, stop)
  local value = packed(first, stop, expiry, 0)
  redis.call('HSET', holds_of(name), field, value)
  redis.call('ZADD', due, whole(expiry - lead), name .. '\n' .. field)
  local resources = resources_of(name, field)
  redis.call('ZADD', resources, 'GT', whole(expiry), string.match(name, '/(.*)$'))
  -- Never shortened: a server with another timeout may have written a hold that ends later.
  if redis.call('PTTL', resources) < milliseconds + 1000 then
    redis.call('PEXPIRE', resources, milliseconds + 1000)
  end
  return value
end

local function keep(action, name, holder, hold_id, first, stop, rule)
  local field = holder .. hold_id
  local value = redis.call('HGET', holds_of(name), field)
  if value then
    local held_first, held_stop, held_expiry, overdue = unpacked(value)
    if held_expiry >= now and held_first == first and held_stop == stop then
      local renewed = write(name, field, first, stop)
      if overdue ~= 0 then
        note(name, field, value, renewed, 0)
      end
      return {'kept', expiry}
    end
  elseif action == 'renew' then
    local reason = redis.call('GET', tombstone_of(name, field))
    if reason then
      return {'ended', tonumber(reason)}
    end
  end
  if rule == '' then
    return {'unjudged'}
  end
  local refused = refusal(name, holder, field, first, stop, rule)
  if refused then
    return refused
  end
  redis.call('DEL', tombstone_of(name, field))
  redis.call('ZREMRANGEBYSCORE', resources_of(name, field), '-inf', '(' .. whole(now))
  -- What was there and expired has been noted as ended; it goes on as a change of its span.
  note(name, field, value, write(name, field, first, stop), 0)
  return {'kept', expiry}
end

local verdicts = {}
for i = 5, #ARGV, 7 do
  local action, name, holder, hold_id = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if action == 'leave' then
    verdicts[#verdicts + 1] = {'left', leave(name, holder .. hold_id, 2 * milliseconds)}
  else
    verdicts[#verdicts + 1] = keep(action, name, holder, hold_id,
      tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5]), ARGV[i + 6])
  end
end
announce(ARGV[4])
return verdicts
