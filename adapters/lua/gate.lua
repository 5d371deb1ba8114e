-- SPDX-License-Identifier: Apache-2.0
-- The fleet's gate of one host: a generic cell rate algorithm with a burst of one, in the server's time, that reserves.
-- The value is two moments in microseconds: blocked until, and when the next request may go (theoretical arrival time).
-- KEYS host   ARGV requests a second (0: no budget), requests, horizon in ms
-- → {ms the host is still blocked, for each request: ms to wait, -1 beyond the horizon or blocked}
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local rate, take, horizon = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) * 1000
local blocked, arrival = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
blocked, arrival = tonumber(blocked or 0), tonumber(arrival or 0)

local answer = {math.ceil(math.max(0, blocked - now) / 1000)}
local next_at, reserved = math.max(now, arrival), false
for _ = 1, take do
  if blocked > now then
    answer[#answer + 1] = -1
  elseif rate <= 0 then
    answer[#answer + 1] = 0
  elseif next_at - now > horizon then
    answer[#answer + 1] = -1
  else
    answer[#answer + 1] = math.ceil((next_at - now) / 1000)
    next_at = next_at + 1000000 / rate
    reserved = true
  end
end
if reserved then
  redis.call('SET', KEYS[1], string.format('%.0f %.0f', blocked, next_at), 'PX', math.ceil((next_at - now) / 1000))
end
return answer
