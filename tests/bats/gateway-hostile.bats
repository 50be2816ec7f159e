#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What an agent or a provider may send that is not a call: each gets a clean error, little memory, and
# the next call works.

load helpers
load gateway

setup() {
	requires root python3 jq curl gateway
	purple_setup
	provider_start
	gateway_config gateway.json
}

teardown() {
	gateway_teardown
	purple_teardown
}

# What a provider billed that broke off is not known to anybody here: that all calls are over, and the
# sums are right.
ledger_is_sound() {
	run python3 "$provider_py/ledger.py" check ledger.db
	assert_status 0
}

next_call_works() {
	chat "scenario: plain out=5"
	assert_equal "$status" 200
}

# raw [SECONDS] <BYTES: sends them to the gateway, and prints what comes until it closes or is quiet
# for so long (5); the last line is "closed" or "open".
raw() {
	timeout 100 python3 -c '
import socket, sys
host, port = sys.argv[1].removeprefix("http://").split(":")
s = socket.create_connection((host, int(port)))
s.settimeout(float(sys.argv[2]))
s.sendall(sys.stdin.buffer.read())
end = "open"
try:
    while data := s.recv(65536):
        sys.stdout.write(data.decode("latin-1"))
    end = "closed"
except ConnectionResetError:
    end = "closed"
except TimeoutError:
    pass
print("\n" + end)' "$GATEWAY_URL" "${1:-5}"
}

# head_is_refused STATUS HEAD...: lines of a head are answered so, the connection is closed, and
# what stands behind is not taken for another request.
head_is_refused() {
	local want=$1
	shift
	run raw < <(
		printf '%b\r\n' "$@"
		printf 'Authorization: Bearer %s\r\n\r\n' "$GATEWAY_PLACEHOLDER"
		printf '0\r\n\r\nGET /openai/v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n' "$GATEWAY_PLACEHOLDER"
	)
	# (libmicrohttpd itself answers some of them, with a head that it writes twice.)
	[[ ${lines[0]} == "HTTP/1.1 $want "* && ${lines[-1]} == closed ]] &&
		! grep '^HTTP/' <<<"$output" | grep -qv "^HTTP/1.1 $want " && return
	echo "for: $*"
	echo "$output"
	return 1
}

@test "heads that could be read in two ways are refused, and the connection ends" {
	local post='POST /openai/v1/chat/completions HTTP/1.1'
	gateway_start
	head_is_refused 400 "$post" 'Host: x' 'Content-Length: 5' 'Content-Length: 6'
	head_is_refused 400 "$post" 'Host: x' 'Content-Length: 5' 'Content-Length: 5'
	head_is_refused 400 "$post" 'Host: x' 'Content-Length: 5' 'Transfer-Encoding: chunked'
	head_is_refused 400 "$post" 'Host: x' 'Transfer-Encoding: chunked' 'Transfer-Encoding: chunked'
	head_is_refused 400 "$post" 'Host: x' 'Transfer-Encoding: gzip, chunked'
	head_is_refused 400 "$post" 'Host: x' 'Transfer-Encoding: xchunked'
	head_is_refused 400 "$post" 'Host: x' 'Transfer-Encoding: identity'
	head_is_refused 400 "$post" 'Host: x' 'Content-Length: +3'
	head_is_refused 400 "$post" 'Host: x' 'Content-Length: 0x3'
	head_is_refused 400 "$post" 'Host: x' 'Content-Length: 3, 3'
	head_is_refused 400 "$post" 'Host: x' 'Content-Length : 3'
	head_is_refused 413 "$post" 'Host: x' 'Content-Length: 99999999999999999999'
	head_is_refused 400 "$post" 'Host: x' 'Host: y'
	head_is_refused 400 "$post" 'Content-Length: 3'
	head_is_refused 400 "$post" 'Host: x' 'X-A: a\001b'
	head_is_refused 400 "$post" 'Host: x' 'X-A: a\000b'
	head_is_refused 400 "$post" 'Host: x' 'X(A: b'
	head_is_refused 400 "$post" 'Host: x' 'Expect: tea'
	head_is_refused 400 'POST http://x/openai/v1/chat/completions HTTP/1.1' 'Host: x'
	head_is_refused 400 'POST /openai/v1/chat/completions\001 HTTP/1.1' 'Host: x'
	head_is_refused 400 'POST /openai/v1/chat/completions HTTP/1.0' 'Host: x' 'Transfer-Encoding: chunked'
	assert_equal "$(wc -l <requests.jsonl)" 0
	next_call_works
}

@test "a head without end is cut off, and takes no memory" {
	gateway_start
	run python3 - "$GATEWAY_URL" <<-'EOF'
		import socket, sys
		host, port = sys.argv[1].removeprefix("http://").split(":")
		for line in (b"X-%d: " + b"a" * 1000 + b"\r\n", b"X-%d: a\r\n", b"a" * 4096 + b"%d"):
		    s = socket.create_connection((host, int(port)))
		    s.settimeout(60)
		    s.sendall(b"POST /openai/v1/chat/completions HTTP/1.1\r\n")
		    sent = 0
		    try:
		        while sent < 50_000_000:
		            piece = b"".join(line % n for n in range(100))
		            s.sendall(piece)
		            sent += len(piece)
		        sys.exit("it takes all of it")
		    except (ConnectionError, TimeoutError) as e:
		        if isinstance(e, TimeoutError):
		            sys.exit("it stands still")
		    print("ended")
	EOF
	assert_equal "$output" $'ended\nended\nended'
	memory_at_most 40
	next_call_works
}

@test "a body of 100 MB is refused, whatever says how long it is, and is not held" {
	gateway_start
	head -c 100000000 /dev/zero | tr '\0' ' ' >large
	gateway_post /openai/v1/chat/completions @large
	refused 413 size
	gateway_post /openai/v1/chat/completions @large -H 'Expect:'
	refused 413 size
	gateway_post /openai/v1/chat/completions @large -H 'Transfer-Encoding: chunked'
	refused 413 size
	memory_at_most 80
	next_call_works
}

@test "many large bodies at once are refused before they take the memory" {
	gateway_start
	run python3 - "$GATEWAY_URL" "$GATEWAY_PLACEHOLDER" <<-'EOF'
		import http.client, sys, threading
		host = sys.argv[1].removeprefix("http://")
		body = b" " * 30_000_000
		seen = []
		begun = threading.Barrier(8)
		def call():
		    c = http.client.HTTPConnection(host, timeout=100)
		    c.putrequest("POST", "/openai/v1/chat/completions")
		    c.putheader("Authorization", "Bearer " + sys.argv[2])
		    c.putheader("Content-Length", str(len(body)))
		    c.endheaders()
		    c.send(body[:-1])
		    begun.wait(60)
		    c.send(body[-1:])
		    answer = c.getresponse()
		    seen.append((answer.status, answer.headers["x-purple-reason"]))
		    answer.read()
		threads = [threading.Thread(target=call) for _ in range(8)]
		for t in threads: t.start()
		for t in threads: t.join()
		print(sorted(set(seen)))
	EOF
	assert_equal "$output" "[(400, 'request'), (503, 'unavailable')]"
	memory_at_most 240
	next_call_works
}

@test "bodies that are no JSON, no UTF-8, compressed, or nested without end are refused" {
	gateway_start
	gateway_post /openai/v1/chat/completions $'{"model":"gpt-5-mini","messages":[{"role":"user","content":"\xff\xfe"}]}'
	refused 400 request
	gateway_post /openai/v1/chat/completions '{"model":"gpt-5-mini"} {}'
	refused 400 request
	gateway_post /openai/v1/chat/completions ''
	refused 400 request
	gateway_post /openai/v1/chat/completions '{"model":"gpt-5-mini","model":"gpt-5"}'
	refused 400 request
	printf '%0100000d' 0 | tr 0 '[' >deep
	gateway_post /openai/v1/chat/completions @deep
	refused 400 request
	gateway_post /openai/v1/chat/completions '{}' -H 'Content-Encoding: gzip'
	refused 415 encoding
	gateway_post /openai/v1/chat/completions '{}' -H 'Content-Encoding: zstd'
	refused 415 encoding
	assert_equal "$(wc -l <requests.jsonl)" 0
	next_call_works
}

@test "who sends a byte now and then is cut off" {
	gateway_start
	run timeout 150 python3 - "$GATEWAY_URL" <<-'EOF'
		import socket, sys, time
		host, port = sys.argv[1].removeprefix("http://").split(":")
		s = socket.create_connection((host, int(port)))
		s.sendall(b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
		s.settimeout(0.5)
		while True:
		    try:
		        s.sendall(b"X")
		        if s.recv(1000) == b"":
		            break
		    except TimeoutError:
		        continue
		    except ConnectionError:
		        break
		print("ended")
	EOF
	assert_equal "$output" ended
	next_call_works
}

@test "hundreds of idle connections keep nobody out for good" {
	gateway_start
	run python3 - "$GATEWAY_URL" <<-'EOF'
		import socket, sys
		host, port = sys.argv[1].removeprefix("http://").split(":")
		for _ in range(3):
		    idle = [socket.create_connection((host, int(port))) for _ in range(300)]
		    for s in idle[:150]:
		        s.sendall(b"GET /")
		    for s in idle:
		        s.close()
		print("done")
	EOF
	assert_equal "$output" "done"
	memory_at_most 60
	next_call_works
}

@test "connections with half a request do not keep the gateway from an orderly end" {
	gateway_start
	python3 - "$GATEWAY_URL" "$GATEWAY_PLACEHOLDER" >half 3>&- <<-'EOF' &
		import socket, sys, time
		host, port = sys.argv[1].removeprefix("http://").split(":")
		head = "POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + sys.argv[2] + "\r\n"
		body = '{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"scenario: stall out=50 after=5"}]}'
		texts = [head, head + "Content-Length: 100\r\n\r\n{", head + "Content-Length: %d\r\n\r\n%s" % (len(body), body)]
		held = []
		for n in range(30):
		    s = socket.create_connection((host, int(port)))
		    s.sendall(texts[n % 3].encode())
		    held.append(s)
		for s in held[2::3]:
		    s.recv(1)
		print("begun", flush=True)
		time.sleep(1000)
	EOF
	_gateway_pids+=("$!")
	wait_for 30 grep -q begun half
	gateway_end
	ledger_is_sound
}

@test "a provider that is not there, does not answer or stops in the midst of it" {
	gateway_config gateway.json '.policies[0].providers += [{ name: "gone", format: "openai", endpoints: ["http://127.0.0.1:9/v1"], hasKey: true },
		{ name: "nowhere", format: "openai", endpoints: ["http://no-such-host.invalid/v1"] }]'
	gateway_keys
	jq '.gone = .openai' keys.json >k && mv k keys.json
	gateway_start gateway.json --timeout 2
	chat "scenario: silent"
	refused 504 timeout
	chat "scenario: stall after=10"
	[[ $status == curl* ]]
	gateway_post /openai/v1/chat/completions '{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"scenario: stall out=20 after=3"}]}'
	assert_equal "$status" 200
	[[ $output == *'"error":{'* ]]
	gateway_post /nowhere/v1/chat/completions '{"model":"gpt-5-mini","messages":[{"role":"user","content":"x"}]}'
	refused 502 upstream
	next_call_works
	gateway_end
	ledger_is_sound
}

@test "a provider that speaks no HTTP, or speaks without end" {
	local case
	gateway_start
	chat "scenario: garbage"
	refused 502 upstream
	chat "scenario: headers"
	refused 502 upstream
	for case in cut reset shorter longer; do
		chat "scenario: $case after=20"
		[[ $status == curl* || $status == 502 || $case == shorter ]] || { echo "$case: $status"; return 1; }
		gateway_post /openai/v1/chat/completions '{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"scenario: '$case' out=20 after=3"}]}'
		# A reset may take along what came before it, and what was too much of the last answer may
		# come before this one.
		[[ $status == 200 || $status == 502 ]] || { echo "$case: $status"; return 1; }
	done
	memory_at_most 40
	next_call_works
	gateway_end
	ledger_is_sound
}

@test "a provider whose certificate is not right gets no key" {
	make_certificate good IP:127.0.0.1
	make_certificate other DNS:other.example
	make_expired_certificate old IP:127.0.0.1
	local name
	for name in good other old; do
		rm -f provider.port requests.jsonl bill.jsonl
		provider_start --tls-port 0 --cert "$name.pem" --key "$name.key"
		gateway_config gateway.json ".policies[0].providers[0].endpoints = [\"https://127.0.0.1:$PROVIDER_TLS_PORT/v1\"]"
		# Trusted by nobody.
		gateway_start
		chat "scenario: plain out=5"
		refused 502 upstream
		[[ $output == *certificate* ]]
		assert_equal "$(wc -l <requests.jsonl)" 0
		gateway_end
		# Trusted, and for this host, or for another.
		gateway_start gateway.json --ca-file "$PWD/$name.pem"
		chat "scenario: plain out=5"
		if [[ $name == good ]]; then
			assert_equal "$status" 200
		else
			refused 502 upstream
			assert_equal "$(wc -l <requests.jsonl)" 0
		fi
		gateway_end
	done
}

@test "a ledger that is locked refuses calls, and loses nothing" {
	gateway_start
	next_call_works
	python3 -c '
import sqlite3, time
db = sqlite3.connect("ledger.db", isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(1000)' >locked 3>&- &
	_gateway_pids+=("$!")
	local locker=$!
	wait_for 20 grep -q locked locked
	chat "scenario: plain out=5"
	refused 503 unavailable
	kill "$locker"
	wait "$locker" || true
	wait_for 20 next_call_works
	gateway_end
	check_ledger
}

@test "a full disk refuses calls, and loses nothing" {
	mkdir small
	mount -t tmpfs -o size=1m purple-test small
	gateway_config gateway.json ".ledger = \"$PWD/small/ledger.db\""
	gateway_start
	next_call_works
	head -c 4000000 /dev/zero >small/filler 2>/dev/null || true
	local n
	# What the file has room for already may still be used.
	for ((n = 0; n < 200; n++)); do
		chat "scenario: plain out=5"
		[[ $status == 200 ]] || break
	done
	refused 503 unavailable
	rm small/filler
	wait_for 20 next_call_works
	gateway_end
	cp small/ledger.db .
	umount small
	check_ledger
}
