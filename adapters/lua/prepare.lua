-- SPDX-License-Identifier: Apache-2.0
-- Makes both groups (and their streams) where they are missing, and the epoch where there is none. Where the stream of jobs
-- itself was gone, no mark of inflight can be right: they go too, and the epoch is a new one.
-- KEYS urls, jobs, epoch, inflight   ARGV group of urls, group of jobs, an epoch to use if there is none
-- → {epoch, 1 if it was made now, groups made}
local function has_group(key, name)
  for _, group in ipairs(redis.call('EXISTS', key) == 1 and redis.call('XINFO', 'GROUPS', key) or {}) do
    for i = 1, #group, 2 do
      if group[i] == 'name' and group[i + 1] == name then
        return true
      end
    end
  end
  return false
end

local made = 0
local jobs_there = redis.call('EXISTS', KEYS[2]) == 1
redis.call('HLEN', KEYS[4]) -- a key of a wrong type fails here, before anything is written
for i = 1, 2 do
  -- From 0: whatever was put in before the group existed is still to be delivered.
  local answer = redis.pcall('XGROUP', 'CREATE', KEYS[i], ARGV[i], '0', 'MKSTREAM')
  if not answer.err then
    made = made + 1
  elseif not string.find(answer.err, 'BUSYGROUP', 1, true) then
    -- Out of memory with nothing to be made is no obstacle: acks free memory, so work must be able to go on.
    local full = string.find(answer.err, 'OOM', 1, true) == 1
    if not (full and has_group(KEYS[i], ARGV[i])) then
      return answer
    end
  end
end
local epoch = redis.call('GET', KEYS[3])
if epoch and jobs_there then
  return {epoch, 0, made}
end
if not jobs_there then
  redis.call('DEL', KEYS[4])
end
redis.call('SET', KEYS[3], ARGV[3])
return {ARGV[3], 1, made}
