-- Ends the holds of a partition that expired, and marks those whose heartbeats stopped.
--
-- ARGV  1 how long before its expiry a hold is overdue, in microseconds   2 length of the log
--       3 how many to see to at most
-- Returns how many it saw to
--
-- ``due`` has each hold at the instant from which it is overdue and, once it is, at its expiry.

local lead = tonumber(ARGV[1])
local found = redis.call('ZRANGEBYSCORE', due, '-inf', '(' .. whole(now), 'LIMIT', 0, ARGV[3])
for _, member in ipairs(found) do
  local name, field = string.match(member, '^([^\n]*)\n(.*)$')
  local value = redis.call('HGET', holds_of(name), field)
  if not value then
    redis.call('ZREM', due, member)
  else
    local _, _, expiry, overdue = unpacked(value)
    if expiry < now then
      finish(name, field, value, EXPIRED)
    else
      if overdue == 0 and expiry - lead < now then
        local marked = prolonged(value, expiry, 1)
        redis.call('HSET', holds_of(name), field, marked)
        note(name, field, value, marked, 0)
        overdue = 1
      end
      -- Another server may keep holds on other terms: what is not due here comes again.
      redis.call('ZADD', due, whole(overdue == 1 and expiry or expiry - lead), member)
    end
  end
end
announce(ARGV[2])
return #found
