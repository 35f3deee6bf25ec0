-- Releases holds of one holder on resources of one partition.
--
-- ARGV  1 timeout in microseconds   2 length of the log   3 holder id   4 'one' or 'all'
--       5 with 'one': the hold id   then the names of the resources
-- Returns how many of the released holds were live

local tombstone_milliseconds = 2 * math.ceil(tonumber(ARGV[1]) / 1000)
local holder = ARGV[3]

local function fields(name)
  if ARGV[4] == 'one' then
    return {holder .. ARGV[5]}
  end
  local own = {}
  for _, field in ipairs(redis.call('HKEYS', holds_of(name))) do
    if string.sub(field, 1, HOLDER_LENGTH) == holder then
      own[#own + 1] = field
    end
  end
  return own
end

local released = 0
for i = 6, #ARGV do
  for _, field in ipairs(fields(ARGV[i])) do
    released = released + leave(ARGV[i], field, tombstone_milliseconds)
  end
end
announce(ARGV[2])
return released
