-- SPDX-License-Identifier: Apache-2.0
-- Are these entries still in the stream?
-- KEYS stream   ARGV ids
-- → for each: 1 present, 0 not
local answer = {}
for i = 1, #ARGV do
  local found = string.find(ARGV[i], '^%d+%-%d+$') and #redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i], 'COUNT', 1) or 0
  answer[#answer + 1] = found
end
return answer
