-- SPDX-License-Identifier: Apache-2.0
-- Makes both groups (and their streams) where they are missing, and the epoch where there is none.
-- KEYS urls, jobs, epoch   ARGV group of urls, group of jobs, an epoch to use if there is none
-- → {epoch, 1 if it was made now, groups made}
local made = 0
for i = 1, 2 do
  -- From 0: whatever was put in before the group existed is still to be delivered.
  local answer = redis.pcall('XGROUP', 'CREATE', KEYS[i], ARGV[i], '0', 'MKSTREAM')
  if not answer.err then
    made = made + 1
  elseif not string.find(answer.err, 'BUSYGROUP', 1, true) then
    return answer
  end
end
local epoch = redis.call('GET', KEYS[3])
if epoch then
  return {epoch, 0, made}
end
redis.call('SET', KEYS[3], ARGV[3])
return {ARGV[3], 1, made}
