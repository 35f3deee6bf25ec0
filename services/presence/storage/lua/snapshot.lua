-- Reads all live holds of resources of one partition, and at which point of the log that is.
--
-- ARGV  1 length of the log   then the names of the resources
-- Returns {epoch, revision, {field, value, ...} for each resource}

local found = {0, 0}
for i = 2, #ARGV do
  found[#found + 1] = live_holds(ARGV[i])
end
announce(ARGV[1])
-- After a restart the epoch changes here at the latest: a log that ended goes on for nobody.
found[1], found[2] = position()
return found
