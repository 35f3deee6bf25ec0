-- Reads the live holds that overlap a span, on resources of one partition. Changes nothing.
--
-- ARGV  1 first quantum   2 the quantum after the last   then the names of the resources
-- Returns one array a resource: {field, value, ...}

local first, stop = tonumber(ARGV[1]), tonumber(ARGV[2])
local found = {}
for i = 3, #ARGV do
  local live = {}
  local all = redis.call('HGETALL', holds_of(ARGV[i]))
  for j = 1, #all, 2 do
    local held_first, held_stop, expiry = unpacked(all[j + 1])
    if expiry >= now and held_first < stop and first < held_stop then
      live[#live + 1] = all[j]
      live[#live + 1] = all[j + 1]
    end
  end
  found[#found + 1] = live
end
return found
