-- SPDX-License-Identifier: Apache-2.0
-- Is a job inflight? A deep look also asks whether its entry can still reach a worker, and clears what can't.
-- KEYS jobs, inflight   ARGV group, 1 for a deep look, then the job keys
-- → for each: 0 not inflight, 1 inflight, 2 it was inflight but lost (and is removed)
local deep = ARGV[2] == '1'
local last, answer = nil, {}
if deep then
  for _, group in ipairs(redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[1]) or {}) do
    local fields = {}
    for i = 1, #group, 2 do
      fields[group[i]] = group[i + 1]
    end
    if fields['name'] == ARGV[1] then
      last = fields['last-delivered-id']
    end
  end
  if not last then
    return redis.error_reply('NOGROUP the stream or its group is gone')
  end
end

-- Ids are two 64-bit numbers, more than a Lua number holds: compared as digits, the longer one is the greater.
local function digits_after(a, b)
  if #a ~= #b then
    return #a > #b
  end
  return a > b
end
local function id_after(a, b)
  local a1, a2 = string.match(a, '^(%d+)%-(%d+)$')
  local b1, b2 = string.match(b, '^(%d+)%-(%d+)$')
  if a1 == b1 then
    return digits_after(a2, b2)
  end
  return digits_after(a1, b1)
end

for i = 3, #ARGV do
  local id = redis.call('HGET', KEYS[2], ARGV[i])
  if not id then
    answer[#answer + 1] = 0
  elseif not deep then
    answer[#answer + 1] = 1
  else
    local valid = string.find(id, '^%d+%-%d+$')
    local there = valid and #redis.call('XRANGE', KEYS[1], id, id, 'COUNT', 1) == 1
    local pending = there and #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) == 1
    if there and (pending or id_after(id, last)) then
      answer[#answer + 1] = 1
    else
      redis.call('HDEL', KEYS[2], ARGV[i])
      if there then
        redis.call('XDEL', KEYS[1], id)
      end
      answer[#answer + 1] = 2
    end
  end
end
return answer
