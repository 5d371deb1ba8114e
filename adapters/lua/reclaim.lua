-- SPDX-License-Identifier: Apache-2.0
-- Takes over what has been idle for too long, with how often it was delivered (XAUTOCLAIM does not tell).
-- KEYS stream   ARGV group, consumer, least idle ms, cursor, most entries, most bytes of a field
-- → {next cursor, entries whose body was gone, {id, deliveries, {field, value, …}} …}
local want, cut = tonumber(ARGV[5]), tonumber(ARGV[6])
local cursor, missing = ARGV[4], 0
local answer = {'', 0}
for _ = 1, 10 do -- one XAUTOCLAIM looks at ten times its COUNT; rounds bound the script's time
  local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], cursor, 'COUNT', want)
  cursor = claimed[1]
  missing = missing + #(claimed[3] or {})
  for _, entry in ipairs(claimed[2]) do
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1, ARGV[2])
    for i, value in ipairs(entry[2]) do
      if #value > cut then
        entry[2][i] = string.sub(value, 1, cut)
      end
    end
    answer[#answer + 1] = {entry[1], pending[1] and pending[1][4] or 1, entry[2]}
    want = want - 1
  end
  if want <= 0 or cursor == '0-0' then
    break
  end
end
answer[1], answer[2] = cursor, missing
return answer
