-- SPDX-License-Identifier: Apache-2.0
-- Removes consumers that have nothing pending and were not heard of for long: of processes that died. One that has entries stays
-- until others have claimed them all, for DELCONSUMER would strand them.
-- KEYS stream   ARGV group, idle ms, how many at most
-- → how many
local removed = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local fields = {}
  for i = 1, #consumer, 2 do
    fields[consumer[i]] = consumer[i + 1]
  end
  if removed < tonumber(ARGV[3]) and fields['pending'] == 0 and fields['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], fields['name'])
    removed = removed + 1
  end
end
return removed
