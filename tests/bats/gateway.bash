# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests of the LLM gateway: a provider (tests/provider/provider.py), and purple-gateway as a
# program of its own. Call gateway_teardown in teardown.

GATEWAY_KEY=sk-real-key-of-the-provider-0123456789
GATEWAY_PLACEHOLDER=purple-00112233445566778899aabbccddeeff

provider_py=$PURPLE_SRCDIR/tests/provider
PURPLE_GATEWAY=${PURPLE_LIBEXEC:-}/purple-gateway

# provider_start [OPTION...]: sets PROVIDER_PORT and, with --cert, PROVIDER_TLS_PORT. What it bills
# goes to bill.jsonl, the requests that it saw to requests.jsonl.
provider_start() {
	rm -f provider.port
	python3 "$provider_py/provider.py" --bill bill.jsonl --log requests.jsonl \
		--prices "$PURPLE_SRCDIR/data/model_prices.json" \
		--prices "$PURPLE_SRCDIR/tests/clients/prices.json" "$@" \
		>provider.port 2>provider.err 3>&- &
	_gateway_pids+=("$!")
	wait_for 20 test -s provider.port || { cat provider.err; return 1; }
	read -r PROVIDER_PORT PROVIDER_TLS_PORT <provider.port
	: >>bill.jsonl
	: >>requests.jsonl
}

# gateway_config FILE [JQ-FILTER]: a gateway.json of one policy, `p`, without limits, with all the
# providers that tests name; all of them are the one that runs.
gateway_config() {
	jq -n --arg url "http://127.0.0.1:$PROVIDER_PORT" --arg ledger "$PWD/ledger.db" \
		--arg placeholder "$GATEWAY_PLACEHOLDER" \
		--arg prices "$PURPLE_SRCDIR/tests/clients/prices.json" '
		def provider(name; format; path): {
			name: name, format: format, endpoints: [$url + path], hasKey: true
		};
		{
			container: "c", session: "c@1", ledger: $ledger, placeholder: $placeholder,
			policies: [{
				name: "p", file: "p.yaml", blockUnknown: true, onExceeded: "deny",
				scope: "session", period: "always",
				providers: [
					provider("openai"; "openai"; "/v1"),
					provider("anthropic"; "anthropic"; "/v1"),
					provider("gemini"; "gemini"; ""),
					provider("azure"; "openai"; "/openai"),
					provider("openrouter"; "openai"; "/api/v1"),
					provider("groq"; "openai"; "/openai/v1"),
					provider("xai"; "openai"; "/v1"),
					provider("mistral"; "openai"; "/v1"),
					provider("deepseek"; "openai"; "/v1"),
					provider("perplexity"; "openai"; "/v1"),
					(provider("local"; "openai"; "/v1") + { prices: $prices })
				]
			}]
		}' | jq "${2:-.}" >"$1"
}

# Keys of all providers, as the runtime gives them.
gateway_keys() {
	jq -n --arg key "$GATEWAY_KEY" '["openai", "anthropic", "gemini", "azure", "openrouter", "groq",
		"xai", "mistral", "deepseek", "perplexity", "local"] | map({ (.): $key }) | add' >keys.json
	chmod 0600 keys.json
}

# gateway_command CONFIG: sets gateway_argv: one that takes a free port, and prints where it listens.
gateway_command() {
	gateway_keys
	gateway_argv=("$PURPLE_GATEWAY" --config "$1" --keys keys.json --listen 127.0.0.1:0)
}

# gateway_start [CONFIG [OPTION...]]: starts one, and waits until it listens. Sets GATEWAY_PID,
# GATEWAY_URL.
gateway_start() {
	gateway_command "${1:-gateway.json}"
	rm -f gateway.address
	"${gateway_argv[@]}" "${@:2}" >gateway.address 2>>gateway.log 3>&- &
	GATEWAY_PID=$!
	_gateway_pids+=("$GATEWAY_PID")
	wait_for 20 test -s gateway.address || { cat gateway.log; return 1; }
	GATEWAY_URL=http://$(<gateway.address)
}

# gateway_end: as a container's end does it: what is under way is charged.
gateway_end() {
	kill -TERM "$GATEWAY_PID"
	wait "$GATEWAY_PID"
}

# check_ledger [OPTION...]: provider/ledger.py check; the output is shown.
check_ledger() {
	run python3 "$provider_py/ledger.py" check ledger.db --bill bill.jsonl "$@"
	echo "$output"
	assert_status 0
}

# nothing_open [LEDGER]: every call in the ledger is over. A call's end is written a moment after its
# answer.
nothing_open() {
	[[ $("$PURPLE" usage --ledger "${1:-ledger.db}" --format json | jq '[.[].open] | add // 0') == 0 ]]
}

# load_calls OPTION...: provider/load.py; sets `output` to what came of it.
load_calls() {
	run python3 "$provider_py/load.py" --key "$GATEWAY_PLACEHOLDER" "$@"
	echo "$output"
	assert_status 0
}

# clients_install: the SDKs of tests/clients, once for a run. Sets CLIENT_MODULES. Skips where there
# is no registry of npm.
clients_install() {
	local dir=$PURPLE_TEST_DIR/clients
	(
		flock 9
		[[ -e $dir/ready || -e $dir/unreachable ]] && exit
		mkdir -p "$dir"
		cp "$PURPLE_SRCDIR"/tests/clients/{package.json,package-lock.json,.npmrc} "$dir"
		local status=0
		(cd "$dir" && timeout 300 npm ci --prefer-offline --omit=dev --ignore-scripts) >"$dir/log" 2>&1 </dev/null || status=$?
		if ((status == 0)); then
			: >"$dir/ready"
		elif ((status == 124)) || grep -qE 'E40[37]|E5[0-9][0-9]|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED' "$dir/log"; then
			: >"$dir/unreachable"
		fi
	) 9>"$dir.lock"
	[[ ! -e $dir/unreachable ]] || skip "needs a registry of npm that can be reached"
	[[ -e $dir/ready ]] || { cat "$dir/log"; return 1; }
	export CLIENT_MODULES=$dir
}

# run_clients <CASES: client.mjs with what an agent has in its environment; sets `output`.
run_clients() {
	run env PURPLE_GATEWAY_URL="$GATEWAY_URL" OPENAI_BASE_URL="$GATEWAY_URL/openai/v1" \
		ANTHROPIC_BASE_URL="$GATEWAY_URL/anthropic" GOOGLE_GEMINI_BASE_URL="$GATEWAY_URL/gemini" \
		OPENAI_API_KEY="$GATEWAY_PLACEHOLDER" ANTHROPIC_API_KEY="$GATEWAY_PLACEHOLDER" \
		GEMINI_API_KEY="$GATEWAY_PLACEHOLDER" \
		timeout 300 node "$PURPLE_SRCDIR/tests/clients/client.mjs"
}

# chat PROMPT [CURL-OPTION...]: one call; sets `output` to the answer, `status` to that of HTTP.
chat() {
	local prompt=$1 body
	shift
	body=$(jq -n --arg p "$prompt" '{ model: "gpt-5-mini", messages: [{ role: "user", content: $p }] }')
	gateway_post /openai/v1/chat/completions "$body" "$@"
}

# gateway_post PATH BODY [CURL-OPTION...]: the same for any call. Head of the answer: in `head`.
# Credentials: $credential, a header; the placeholder when that is not set.
gateway_post() {
	local path=$1 body=$2 credential=${credential-Authorization: Bearer $GATEWAY_PLACEHOLDER}
	shift 2
	rm -f head answer
	status=$(curl -sS --max-time 120 -o answer -D head -w '%{http_code}' \
		-H "$credential" -H 'Content-Type: application/json' \
		--data-binary "$body" "$@" "$GATEWAY_URL$path") || status="curl $? $status"
	output=$(cat answer 2>/dev/null || true)
}

# refused STATUS REASON: what the last call came to.
refused() {
	[[ $status == "$1" ]] && grep -qi "^x-purple-reason: $2" head && jq -e .error <<<"$output" >/dev/null && return
	echo "status $status"
	cat head
	echo "$output"
	return 1
}

# make_certificate NAME HOST: NAME.pem and NAME.key, signed by itself.
make_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$2" \
		-addext "subjectAltName=$2" -keyout "$1.key" -out "$1.pem" 2>/dev/null
}

# make_expired_certificate NAME HOST: the same, of long ago.
make_expired_certificate() {
	make_certificate "$1" "$2"
	printf '%s\n' '[ca]' 'default_ca = own' '[own]' 'database = ca.index' 'serial = ca.serial' \
		'new_certs_dir = .' 'default_md = sha256' 'policy = any' 'copy_extensions = copy' '[any]' \
		'commonName = supplied' >ca.conf
	: >ca.index
	echo 01 >ca.serial
	openssl req -new -key "$1.key" -subj "/CN=$2" -addext "subjectAltName=$2" -out "$1.csr" 2>/dev/null
	openssl ca -batch -config ca.conf -selfsign -keyfile "$1.key" -in "$1.csr" -out "$1.pem" -notext \
		-startdate 20200101000000Z -enddate 20200201000000Z 2>/dev/null
}

# memory_at_most MEGABYTES: the most that the gateway had so far.
memory_at_most() {
	local kb
	kb=$(awk '/^VmHWM:/ { print $2 }' "/proc/$GATEWAY_PID/status")
	[[ -n ${PURPLE_SANITIZED:-} && $PURPLE_SANITIZED != 0 ]] && return
	((kb <= $1 * 1024)) || { echo "gateway had $kb kB"; return 1; }
}

gateway_teardown() {
	local pid
	for pid in "${_gateway_pids[@]}"; do
		kill -TERM "$pid" 2>/dev/null || true
	done
	for pid in "${_gateway_pids[@]}"; do
		wait "$pid" 2>/dev/null || true
	done
	_gateway_pids=()
}
