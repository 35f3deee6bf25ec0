-- Keeps one hold: renews it, acquires it or swaps its span. All quanta or none.
--
-- KEYS  1 the resource's holds   2 the holder's resources in this partition
-- ARGV  1 holder id   2 hold id   3 resource id   4 first quantum   5 the quantum after the last
--       6 rule: exclusive, shared, or empty (renew only)   7 timeout in microseconds
--       8 how many holds the holder may have on the resource
-- Returns {'kept', expiry}, {'unjudged'} (no rule, nothing to renew), {'full'}, or
--       {'held', first, stop, ...} with the spans in the way
--
-- A hold is live while expiry >= now; dead ones count for nothing and go when one is judged.

local holds, resources = KEYS[1], KEYS[2]
local holder, field = ARGV[1], ARGV[1] .. ARGV[2]
local first, stop = tonumber(ARGV[4]), tonumber(ARGV[5])
local timeout = tonumber(ARGV[7])
local PACKED = '>I4I4d' -- first, stop, expiry in microseconds since 1970

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function is_renewal()
  local packed = redis.call('HGET', holds, field)
  if not packed then
    return false
  end
  local held_first, held_stop, expiry = struct.unpack(PACKED, packed)
  return expiry >= now and held_first == first and held_stop == stop
end

-- Renewals never come here, so going through all holds of the resource is rare.
local function refusal()
  local all = redis.call('HGETALL', holds)
  local conflicts, own = {'held'}, 0
  for i = 1, #all, 2 do
    local held_first, held_stop, expiry = struct.unpack(PACKED, all[i + 1])
    if expiry < now then
      redis.call('HDEL', holds, all[i])
    elseif string.sub(all[i], 1, #holder) == holder then
      if all[i] ~= field then
        own = own + 1
      end
    elseif ARGV[6] == 'exclusive' and held_first < stop and first < held_stop then
      conflicts[#conflicts + 1] = held_first
      conflicts[#conflicts + 1] = held_stop
    end
  end
  if #conflicts > 1 then
    return conflicts
  end
  if own >= tonumber(ARGV[8]) then
    return {'full'}
  end
  redis.call('ZREMRANGEBYSCORE', resources, '-inf', string.format('(%.0f', now))
  return nil
end

-- Never shortened: a server with another timeout may have written a hold that ends later.
local function outlive(key)
  local milliseconds = math.ceil(timeout / 1000) + 1000
  if redis.call('PTTL', key) < milliseconds then
    redis.call('PEXPIRE', key, milliseconds)
  end
end

if not is_renewal() then
  if ARGV[6] == '' then
    return {'unjudged'}
  end
  local refused = refusal()
  if refused then
    return refused
  end
end
local expiry = now + timeout
redis.call('HSET', holds, field, struct.pack(PACKED, first, stop, expiry))
redis.call('ZADD', resources, 'GT', expiry, ARGV[3])
outlive(holds)
outlive(resources)
return {'kept', expiry}
