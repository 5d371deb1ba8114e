-- SPDX-License-Identifier: Apache-2.0
-- Leaves a host alone for some time; a longer block that stands is never shortened. Value: see gate.lua.
-- KEYS host   ARGV ms
-- → ms the host is blocked
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local blocked, arrival = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
blocked, arrival = tonumber(blocked or 0), tonumber(arrival or 0)
blocked = math.max(blocked, now + tonumber(ARGV[1]) * 1000)
local keep = math.ceil((math.max(blocked, arrival) - now) / 1000)
if keep > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f %.0f', blocked, arrival), 'PX', keep)
end
return math.ceil((blocked - now) / 1000)
