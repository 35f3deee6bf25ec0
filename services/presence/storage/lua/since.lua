-- Reads what changed on resources of one partition since a revision of each. Changes nothing.
--
-- ARGV  name and revision of each
-- Returns {epoch, revision, then for each resource its changes in order, each followed by what
--       stands beside it, or '' where the log does not reach back that far}

local known = redis.call('HMGET', head, 'epoch', 'revision')
local epoch, revision = tonumber(known[1] or 0), tonumber(known[2] or 0)
local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
-- Without a log there is nothing before the present.
local reaches = oldest and tonumber(string.match(oldest[1], '^%d+')) - 1 or revision

local found, wanted, from = {epoch, revision}, {}, nil
for i = 1, #ARGV, 2 do
  local after = tonumber(ARGV[i + 1])
  if after < reaches then
    found[#found + 1] = ''
  else
    local changes = {}
    found[#found + 1] = changes
    wanted[ARGV[i]] = {after = after, changes = changes}
    from = math.min(from or after, after)
  end
end
if from then
  for _, entry in ipairs(redis.call('XRANGE', log, '(' .. whole(from) .. '-0', '+')) do
    local asked = wanted[entry[2][4]]
    if asked and tonumber(string.match(entry[1], '^%d+')) > asked.after then
      asked.changes[#asked.changes + 1] = entry[2][6]
      asked.changes[#asked.changes + 1] = entry[2][8] or ''
    end
  end
end
return found
