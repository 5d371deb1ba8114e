-- SPDX-License-Identifier: Apache-2.0
-- Adds references to chunks of a catalog.
-- KEYS urls   ARGV catalog, then the chunks' numbers
-- → the new entries' ids
local answer = {}
for i = 2, #ARGV do
  answer[#answer + 1] = redis.call('XADD', KEYS[1], '*', 'catalog', ARGV[1], 'chunk', ARGV[i])
end
return answer
