-- Keeps holds of one partition: renews, acquires, swaps or leaves each. A hold gets all its
-- quanta or none, whatever becomes of the others.
--
-- ARGV  1 timeout in microseconds   2 how long before its expiry a hold is overdue, likewise
--       3 live holds a holder may have on a resource   4 length of the log
--       then for each: what to do (Action, or 'leave'), resource's name, holder id, hold id,
--       and unless it is 'leave': first quantum, the quantum after the last, units,
--       and unless it is 'stay': event type, rule ('exclusive', 'pool', 'advisory' or '' where
--       it is not known), most quanta
-- Returns for each, in order: {'kept', expiry, units ahead, first, stop} (but for the expiry
--       only where they were asked for), {'unjudged'} (no rule, nothing to renew), {'full'},
--       {'long'}, {'held', first, stop, ...} with the spans in the way, {'ended', reason} (it
--       was ended by another call) or {'left', 1 or 0}

local timeout, lead, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local expiry = now + timeout
local milliseconds = math.ceil(timeout / 1000)

-- Renewals never come here, so going through all holds of the resource is rare.
local function refusal(live, holder, field, wish)
  if wish.stop - wish.first > wish.longest then
    return {'long'}
  end
  local conflicts, own = {'held'}, 0
  for i = 1, #live, 2 do
    if string.sub(live[i], 1, HOLDER_LENGTH) == holder then
      if live[i] ~= field then
        own = own + 1
      end
    elseif wish.rule == 'exclusive' then
      local held_first, held_stop = unpacked(live[i + 1])
      if held_first < wish.stop and wish.first < held_stop then
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

-- How many units others acquired earlier, on the quantum of the span where they are most.
local function units_ahead(live, holder, acquired, first, stop)
  local edges = {}
  for i = 1, #live, 2 do
    if string.sub(live[i], 1, HOLDER_LENGTH) ~= holder then
      local held_first, held_stop, _, _, since, units = unpacked(live[i + 1])
      if since < acquired and held_first < stop and first < held_stop then
        edges[#edges + 1] = {math.max(held_first, first), units}
        edges[#edges + 1] = {held_stop, -units}
      end
    end
  end
  table.sort(edges, function(a, b)
    return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
  end)
  local units, most = 0, 0
  for _, edge in ipairs(edges) do
    units = units + edge[2]
    most = math.max(most, units)
  end
  return most
end

local function write(name, field, value)
  redis.call('HSET', holds_of(name), field, value)
  redis.call('ZADD', due, whole(expiry - lead), name .. '\n' .. field)
  local resources = resources_of(name, field)
  redis.call('ZADD', resources, 'GT', whole(expiry), string.match(name, '/(.*)$'))
  -- Never shortened: a server with another timeout may have written a hold that ends later.
  if redis.call('PTTL', resources) < milliseconds + 1000 then
    redis.call('PEXPIRE', resources, milliseconds + 1000)
  end
end

local function renew(name, field, value, overdue)
  local renewed = prolonged(value, expiry, 0)
  write(name, field, renewed)
  if overdue ~= 0 then
    note(name, field, value, renewed, 0)
  end
end

-- Why another call has ended the hold, if that stands against the wish.
local function ended(name, field, wish)
  local epitaph = redis.call('GET', tombstone_of(name, field))
  if not epitaph then
    return nil
  end
  local reason, first, stop = string.match(epitaph, '^(%d+)/?(%d*)/?(%d*)$')
  if wish.action == 'renew' or wish.action == 'stay' then
    return tonumber(reason)
  end
  return tonumber(first) == wish.first and tonumber(stop) == wish.stop and tonumber(reason) or nil
end

local function is_same(wish, first, stop, units, event_type)
  if wish.action == 'resume' then
    return event_type == wish.event_type and units == wish.units
      and first <= wish.first and wish.stop <= stop
  end
  return first == wish.first and stop == wish.stop and units == wish.units
end

local function keep(name, holder, field, wish)
  local value = redis.call('HGET', holds_of(name), field)
  if value then
    local first, stop, held_expiry, overdue, acquired, units, event_type = unpacked(value)
    if held_expiry >= now and is_same(wish, first, stop, units, event_type) then
      renew(name, field, value, overdue)
      if wish.action == 'stay' then
        return {'kept', expiry}
      end
      local ahead = 0
      if wish.rule ~= 'exclusive' then
        ahead = units_ahead(live_holds(name), holder, acquired, first, stop)
      end
      return {'kept', expiry, ahead, first, stop}
    end
  else
    local reason = ended(name, field, wish)
    if reason then
      return {'ended', reason}
    end
  end
  if wish.rule == '' then
    return {'unjudged'}
  end
  local live = live_holds(name)
  local refused = refusal(live, holder, field, wish)
  if refused then
    return refused
  end
  local acquired = acquisition()
  local taken = packed(wish.first, wish.stop, expiry, 0, acquired, wish.units, wish.event_type)
  redis.call('DEL', tombstone_of(name, field))
  redis.call('ZREMRANGEBYSCORE', resources_of(name, field), '-inf', '(' .. whole(now))
  write(name, field, taken)
  -- What was there and expired has been noted as ended; it goes on as a change of its span.
  note(name, field, value, taken, 0)
  local ahead = 0
  if wish.rule ~= 'exclusive' then
    ahead = units_ahead(live, holder, acquired, wish.first, wish.stop)
  end
  return {'kept', expiry, ahead, wish.first, wish.stop}
end

local place = 4
local function take()
  place = place + 1
  return ARGV[place]
end

local verdicts = {}
while place < #ARGV do
  local action, name, holder, hold_id = take(), take(), take(), take()
  local field = holder .. hold_id
  if action == 'leave' then
    verdicts[#verdicts + 1] = {'left', leave(name, field, 2 * milliseconds)}
  else
    local wish = {action = action, first = tonumber(take()), stop = tonumber(take()),
      units = tonumber(take()), event_type = '', rule = ''}
    if action ~= 'stay' then
      wish.event_type, wish.rule, wish.longest = take(), take(), tonumber(take())
    end
    verdicts[#verdicts + 1] = keep(name, holder, field, wish)
  end
end
announce(ARGV[4])
return verdicts
