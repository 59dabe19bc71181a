;; Sleeps for a century in the host, and skips.
(call $block (call $sleep (i64.const 3155760000000000000)))
