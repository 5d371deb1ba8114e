-- SPDX-License-Identifier: Apache-2.0
-- Removes this consumer where nothing is pending for it: XGROUP DELCONSUMER alone would strand its entries for ever.
-- KEYS stream   ARGV group, consumer
-- → 1 removed, 0 it still has entries
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then
  return 0
end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
