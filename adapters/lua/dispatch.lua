-- SPDX-License-Identifier: Apache-2.0
-- Puts jobs into the window: never over the limit, never a key that is already there.
-- KEYS jobs, inflight   ARGV limit, then for each job: key, url, pipeline, run
-- → {jobs inflight afterwards, for each job: 0 dispatched, 1 already inflight, 2 window full}
local limit = tonumber(ARGV[1])
redis.call('XLEN', KEYS[1]) -- a key of a wrong type fails here, before anything is written
local inflight = redis.call('HLEN', KEYS[2])
local answer = {0}
for i = 2, #ARGV, 4 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    answer[#answer + 1] = 1
  elseif inflight >= limit then
    answer[#answer + 1] = 2
  else
    local id = redis.call('XADD', KEYS[1], '*', 'key', ARGV[i], 'url', ARGV[i + 1], 'pipeline', ARGV[i + 2], 'run', ARGV[i + 3])
    redis.call('HSET', KEYS[2], ARGV[i], id)
    inflight = inflight + 1
    answer[#answer + 1] = 0
  end
end
answer[1] = inflight
return answer
