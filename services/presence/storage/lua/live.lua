-- Reads the live holds that overlap a span, on resources of one partition.
--
-- KEYS  the holds of each resource
-- ARGV  1 first quantum   2 the quantum after the last
-- Returns one array a key: {field, first, stop, expiry, ...}

local first, stop = tonumber(ARGV[1]), tonumber(ARGV[2])
local PACKED = '>I4I4d' -- first, stop, expiry in microseconds since 1970

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local found = {}
for i = 1, #KEYS do
  local live = {}
  local all = redis.call('HGETALL', KEYS[i])
  for j = 1, #all, 2 do
    local held_first, held_stop, expiry = struct.unpack(PACKED, all[j + 1])
    if expiry >= now and held_first < stop and first < held_stop then
      local n = #live
      live[n + 1], live[n + 2], live[n + 3], live[n + 4] = all[j], held_first, held_stop, expiry
    end
  end
  found[i] = live
end
return found
