;; Takes memory until there is none.
(loop $again (drop (memory.grow (i32.const 16))) (br $again))
