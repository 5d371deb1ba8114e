-- SPDX-License-Identifier: Apache-2.0
-- Depths of both streams, the window and the server's memory. On the way it clears inflight marks whose entry somebody deleted
-- (XDEL, XTRIM, DEL): they would fill the window for ever, as the ledger does not ask for finished jobs again.
-- KEYS urls, jobs, inflight   ARGV group of urls, group of jobs
-- → {for urls, then jobs: length, pending, lag (-1: Redis does not know), idle ms of the oldest pending, consumers; inflight; bytes}
local answer = {}
for i = 1, 2 do
  local found
  for _, group in ipairs(redis.call('EXISTS', KEYS[i]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[i]) or {}) do
    local fields = {}
    for j = 1, #group, 2 do
      fields[group[j]] = group[j + 1]
    end
    if fields['name'] == ARGV[i] then
      found = fields
    end
  end
  if not found then
    return redis.error_reply('NOGROUP the stream or its group is gone')
  end
  local oldest = redis.call('XPENDING', KEYS[i], ARGV[i], '-', '+', 1)[1]
  answer[#answer + 1] = redis.call('XLEN', KEYS[i])
  answer[#answer + 1] = found['pending']
  answer[#answer + 1] = found['lag'] or -1
  answer[#answer + 1] = oldest and oldest[3] or 0
  answer[#answer + 1] = found['consumers']
end
local marks = redis.call('HRANDFIELD', KEYS[3], 32, 'WITHVALUES') -- a sample bounds the script's time
for i = 1, #marks, 2 do
  local id = marks[i + 1]
  if not string.find(id, '^%d+%-%d+$') or #redis.call('XRANGE', KEYS[2], id, id, 'COUNT', 1) == 0 then
    redis.call('HDEL', KEYS[3], marks[i])
  end
end
answer[#answer + 1] = redis.call('HLEN', KEYS[3])
local info = redis.pcall('INFO', 'memory') -- may be forbidden to this user
answer[#answer + 1] = type(info) == 'string' and tonumber(string.match(info, 'used_memory:(%d+)')) or 0
return answer
