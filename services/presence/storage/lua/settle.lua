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

-- The live holds of a resource in the order of their acquisition: all, and those of each holder.
-- Read once, however many settlements concern them; those that have ended meanwhile say so.
local known = {}

local function holds_on(name)
  if known[name] then
    return known[name]
  end
  local all, of = {}, {}
  local live = live_holds(name)
  for i = 1, #live, 2 do
    local first, stop, _, _, acquired, units = unpacked(live[i + 1])
    all[#all + 1] = {field = live[i], value = live[i + 1], first = first, stop = stop,
      acquired = acquired, units = units, holder = string.sub(live[i], 1, HOLDER_LENGTH)}
  end
  table.sort(all, function(a, b)
    return a.acquired < b.acquired
  end)
  for _, hold in ipairs(all) do
    local own = of[hold.holder] or {}
    own[#own + 1] = hold
    of[hold.holder] = own
  end
  known[name] = {all = all, of = of}
  return known[name]
end

-- Those of some holds that overlap and are not too new.
local function concerned(holds, first, stop, committed)
  local found = {}
  for _, hold in ipairs(holds) do
    if hold.acquired > committed then
      break
    end
    if not hold.is_ended and hold.first < stop and first < hold.stop then
      found[#found + 1] = hold
    end
  end
  return found
end

local function settle(name, hold, reason)
  finish(name, hold.field, hold.value, reason)
  bury(name, hold.field, hold.value, reason, tombstone_milliseconds)
  hold.is_ended = true
  ended = ended + 1
end

local function settle_all(name, holds, reason)
  for _, hold in ipairs(holds) do
    settle(name, hold, reason)
  end
end

-- Of several holds on a pool, those of other bookings stay: one ends where fewer units than were
-- booked have ended before it.
local function settle_units(name, own, first, stop, booked, reason)
  local units = {}
  for _, hold in ipairs(own) do
    local from, to = math.max(first, hold.first), math.min(stop, hold.stop) - 1
    local counts = false
    for quantum = from, to do
      counts = counts or (units[quantum] or 0) < booked
    end
    if counts then
      for quantum = from, to do
        units[quantum] = (units[quantum] or 0) + hold.units
      end
      settle(name, hold, reason)
    end
  end
end

for i = 3, #ARGV, 8 do
  local name, holder, units, committed = ARGV[i], ARGV[i + 1], ARGV[i + 4], ARGV[i + 5]
  local first, stop = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local reason, rule = tonumber(ARGV[i + 6]), ARGV[i + 7]
  local holds = holds_on(name)
  -- On an exclusive resource everybody's end, the booker's among them.
  local concern = rule == 'exclusive' and holds.all or holds.of[holder] or {}
  local found = concerned(concern, first, stop, tonumber(committed))
  if rule ~= 'pool' then
    settle_all(name, found, reason)
  elseif #found > 0 then
    -- Told again, it would go on with the holds of other bookings.
    local told = table.concat({tag .. ':settled:' .. name, holder, first, stop, units, committed}, '/')
    if redis.call('SET', told, 1, 'NX', 'PX', tombstone_milliseconds) then
      settle_units(name, found, first, stop, tonumber(units), reason)
    end
  end
end
announce(ARGV[2])
return ended
