-- Ends the holds of one partition over time that bookings or blocks have taken. Holds acquired
-- after the commit stay.
--
-- ARGV  1 timeout in microseconds   2 length of the log
--       then for each: resource's name, the booker's holder id or '', first quantum, the quantum
--       after the last, units, the instant of the commit in microseconds, why the holds end,
--       rule
-- Returns how many live holds ended

local tombstone_milliseconds = 2 * math.ceil(tonumber(ARGV[1]) / 1000)
local ended = 0

local function settle(name, hold, reason)
  finish(name, hold.field, hold.value, reason)
  bury(name, hold.field, hold.value, reason, tombstone_milliseconds)
  ended = ended + 1
end

-- The live holds that overlap and are not too new: the booker's, the oldest first, and others'.
local function found(name, holder, first, stop, committed)
  local own, others = {}, {}
  local live = live_holds(name)
  for i = 1, #live, 2 do
    local held_first, held_stop, _, _, acquired, units = unpacked(live[i + 1])
    if held_first < stop and first < held_stop and acquired <= committed then
      local hold = {field = live[i], value = live[i + 1], acquired = acquired, units = units,
        first = math.max(first, held_first), stop = math.min(stop, held_stop)}
      local side = string.sub(live[i], 1, HOLDER_LENGTH) == holder and own or others
      side[#side + 1] = hold
    end
  end
  table.sort(own, function(a, b)
    return a.acquired < b.acquired
  end)
  return own, others
end

-- Of several holds on a pool, those of other bookings stay: one ends where fewer units than were
-- booked have ended before it.
local function settle_units(name, own, booked, reason)
  local units = {}
  for _, hold in ipairs(own) do
    local counts = false
    for quantum = hold.first, hold.stop - 1 do
      counts = counts or (units[quantum] or 0) < booked
    end
    if counts then
      for quantum = hold.first, hold.stop - 1 do
        units[quantum] = (units[quantum] or 0) + hold.units
      end
      settle(name, hold, reason)
    end
  end
end

for i = 3, #ARGV, 8 do
  local name, holder, first, stop = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local units, committed = ARGV[i + 4], ARGV[i + 5]
  local reason, rule = tonumber(ARGV[i + 6]), ARGV[i + 7]
  local own, others = found(name, holder, tonumber(first), tonumber(stop), tonumber(committed))
  if rule ~= 'pool' then
    for _, hold in ipairs(own) do
      settle(name, hold, reason)
    end
  elseif #own > 0 then
    -- Told again, it would go on with the holds of other bookings.
    local told = table.concat({tag .. ':settled:' .. name, holder, first, stop, units, committed}, '/')
    if redis.call('SET', told, 1, 'NX', 'PX', tombstone_milliseconds) then
      settle_units(name, own, tonumber(units), reason)
    end
  end
  if rule == 'exclusive' then
    for _, hold in ipairs(others) do
      settle(name, hold, reason)
    end
  end
end
announce(ARGV[2])
return ended
