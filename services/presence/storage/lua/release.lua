-- Releases holds of one holder on resources of one partition.
--
-- KEYS  the holds of each resource
-- ARGV  1 holder id   2 'one' or 'all'   3 with 'one': the hold id
-- Returns how many of the released holds were live

local holder = ARGV[1]
local PACKED = '>I4I4d' -- first, stop, expiry in microseconds since 1970

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function fields(holds)
  if ARGV[2] == 'one' then
    return {holder .. ARGV[3]}
  end
  local own = {}
  for _, field in ipairs(redis.call('HKEYS', holds)) do
    if string.sub(field, 1, #holder) == holder then
      own[#own + 1] = field
    end
  end
  return own
end

local released = 0
for _, holds in ipairs(KEYS) do
  for _, field in ipairs(fields(holds)) do
    local packed = redis.call('HGET', holds, field)
    if packed then
      redis.call('HDEL', holds, field)
      local _, _, expiry = struct.unpack(PACKED, packed)
      if expiry >= now then
        released = released + 1
      end
    end
  end
end
return released
