# chat_status: each number moves when its cause happens, and no other reason
# does; JSON and Prometheus' text agree; promtool has nothing to say.
#
# What takes long is where it is shown anyway: "silent" in liveness.t,
# "batches" that fail in locked.t and full.t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Fcntl qw(O_RDWR O_NONBLOCK);
use IPC::Open3 ();
use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);

use Chat::API;
use Chat::Events qw(path_of poll);
use Chat::HTTP qw(from_json);
use Chat::Locker;
use Chat::Pusher qw(send_subscribe subscribe_to join_presence member signin
                    client_event);
use Chat::Server qw(APP_KEY stop_worker wait_for build_dir);
use Chat::WebSocket qw(TEXT);

my $apps = <<'END';
    chat_app 3 { key off;    secret s; enabled off; }
    chat_app 4 { key tls;    secret s; tls_only on; }
    chat_app 5 { key one;    secret s; max_connections 1; }
    chat_app 6 { key few;    secret s; channels_per_connection 1; }
    chat_app 7 { key member; secret s; presence_members 1; }
    chat_app 8 { key known;  secret s; authorization_timeout 1s; }
END

my $more = <<'END';
        location /apps/ { chat_api; }
        location /events/ { chat_events; }
        location /mine/app/ { chat_websocket; chat_origins a.example; }
        location /cors { chat_status; chat_cors https://a.example; }
END


# ---- reading

sub json { return from_json($_[0]->get('/chat_status?format=json')->{body}) }


# Prometheus' text as { 'name' or 'name{label="value"}' => number }; dies at
# what is no line of it, and at a line that comes twice.

sub parse {
    my ($text) = @_;

    my (%value, %type, $name);

    for my $line (split /\n/, $text) {

        if ($line =~ /^# HELP (\w+) \S.*\.$/) {
            $name = $1;
            die "$name twice" if $type{$name};

        } elsif ($line =~ /^# TYPE (\w+) (counter|gauge|histogram)$/) {
            die "$line" if $1 ne $name;
            $type{$name} = $2;

        } elsif ($line =~ /^((\w+?)(?:_bucket|_sum|_count)?
                             (?:\{[a-z]+="[^"\\]*"(?:,[a-z]+="[^"\\]*")*\})?)
                           [ ](\d+(?:\.\d+)?)$/x) {
            die "$line twice" if exists $value{$1};
            die "$line: of $name" if index($1, $name) != 0;
            $value{$1} = $3;

        } else {
            die "not a line: $line";
        }
    }

    return (\%value, \%type);
}


sub metrics {
    my ($http) = @_;

    my $res = $http->get('/chat_status?format=prometheus');

    die "chat_status: $res->{status}" unless $res->{status} == 200;

    return (parse($res->{body}))[0];
}


# Whether a number says that something was refused, closed, lost.

sub is_bad {
    return $_[0] =~ /^ngx_chat_(?:\w+_(?:refused|closed|invalid|died|failed)
                                  |overruns|unavailable_answers|answers_early
                                  |keys_forgotten
                                  |registry_wipes)_total/x;
}


# moves($http, \&CAUSE, { METRIC => BY }, NAME): what the cause adds, exactly;
# and no reason moves but those named.

sub moves {
    my ($http, $cause, $want, $name) = @_;

    my $before = metrics($http);

    $cause->();

    my ($after, %got);

    wait_for(10, sub {
        $after = metrics($http);
        %got = map { $_ => $after->{$_} - ($before->{$_} || 0) }
               grep { exists $after->{$_} } keys %$want;

        return !grep { !exists $got{$_} || $got{$_} != $want->{$_} }
               keys %$want;
    });

    is_deeply(\%got, $want, $name);
    is(join(' ', grep { is_bad($_) && !exists $want->{$_}
                        && $after->{$_} != ($before->{$_} || 0) }
                 sort keys %$after),
       '', "$name: no other reason");
}


sub refused { return 'ngx_chat_connections_refused_total{code="' . $_[0] . '"}' }
sub closed  { return 'ngx_chat_connections_closed_total{reason="' . $_[0] . '"}' }
sub denied { return 'ngx_chat_subscriptions_refused_total{reason="' . $_[0] . '"}' }
sub resumed { return 'ngx_chat_resumptions_total{result="' . $_[0] . '"}' }
sub muted  { return 'ngx_chat_client_events_refused_total{reason="' . $_[0] . '"}' }


# The bytes of frames of events on the wire, from the server.

sub wire { return map { length($_) + (length($_) < 126 ? 2 : 4) } @_ }


# ---- the two formats

my %plain = (
    workers => 'workers', channels => 'channels', members => 'members',
    members_in_grace => 'members_in_grace',
    connections => 'connections', subscriptions => 'subscriptions',
    connections_fallback => 'connections_fallback',
    connections_events => 'connections_events',
    connections_total => 'connections_total',
    commands_total => 'commands_total',
    commands_invalid => 'commands_invalid_total',
    client_events_total => 'client_events_total',
    events_total => 'events_total', deliveries_total => 'deliveries_total',
    received_bytes_total => 'received_bytes_total',
    sent_bytes_total => 'sent_bytes_total',
    messages_stored => 'messages_stored_total',
    unavailable_answers => 'unavailable_answers_total',
    answers_early => 'answers_early_total',
    keys_forgotten => 'keys_forgotten_total',
    recovered_events => 'recovered_events_total',
    acknowledgements => 'acknowledgements_total',
    sessions_parked => 'sessions_parked_total',
    sessions_evicted => 'sessions_evicted_total',
    tokens_shared => 'tokens_shared_total',
    overruns => 'overruns_total', workers_died => 'workers_died_total',
    registry_wipes => 'registry_wipes_total',
    origins_refused => 'origins_refused_total',
    signins_refused => 'signins_refused_total',
    webhook_events_delivered => 'webhook_events_delivered_total',
    webhook_events_given_up => 'webhook_events_given_up_total',
    bus_position_bytes => 'bus_position_bytes',
    zone_used_bytes => 'memory_used_bytes{part="arena"}',
    slow_subscribers_closed => 'connections_closed_total{reason="slow"}',
);

my %lists = (
    connections_refused_by_code => [ 'connections_refused', 'code' ],
    connections_closed_by_reason => [ 'connections_closed', 'reason' ],
    recoveries_by_result => [ 'recoveries', 'result' ],
    resumptions_by_result => [ 'resumptions', 'result' ],
    subscriptions_refused_by_reason => [ 'subscriptions_refused', 'reason' ],
    client_events_refused_by_reason => [ 'client_events_refused', 'reason' ],
    webhook_requests_by_result => [ 'webhook_requests', 'result' ],
);

my %worker = (
    connections => 'connections', subscriptions => 'subscriptions',
    store_queued => 'store_queue_messages',
    bus_position_bytes => 'bus_position_bytes',
    bus_lag_bytes => 'bus_lag_bytes', overruns => 'overruns_total',
);

my %app = (
    zone_held_bytes => 'zone_held_bytes',
    zone_share_bytes => 'zone_share_bytes',
    zone_refused => 'zone_refused_total',
);

# these go on while one looks
my @peaks = qw(stall_max stall_recent_max wakeup_delay_max
               wakeup_delay_recent_max);


# What the JSON says, under the names of the metrics.

sub translate {
    my ($j) = @_;

    my %want = map { ("ngx_chat_$plain{$_}" => delete $j->{$_}) }
               keys %plain;

    for my $list (keys %lists) {
        my ($total, $label) = @{ $lists{$list} };
        my $values = delete $j->{$list};
        my $sum = 0;

        for my $value (keys %$values) {
            $sum += $values->{$value};
            $want{"ngx_chat_${total}_total{$label=\"$value\"}"}
                = $values->{$value};
        }

        is(delete $j->{$total}, $sum, "$total is the sum of its reasons");
    }

    my $arena = $j->{memory}{arena};
    is($arena->{used_bytes} + $arena->{free_bytes},
       delete $j->{zone_size_bytes}, 'zone_size_bytes');

    my $memory = delete $j->{memory};

    for my $part (keys %$memory) {
        $want{"ngx_chat_memory_${_}_bytes{part=\"$part\"}"}
            = delete $memory->{$part}{"${_}_bytes"} for qw(used free);
        is_deeply($memory->{$part}, {}, "$part has no more");
    }

    for my $w (@{ delete $j->{per_worker} }) {
        my $pid = delete $w->{pid};

        $want{"ngx_chat_worker_$worker{$_}\{pid=\"$pid\"}"} = delete $w->{$_}
            for keys %worker;
        $want{"ngx_chat_worker_${_}_seconds{pid=\"$pid\"}"}
            = delete($w->{"${_}_microseconds"}) / 1e6 for @peaks;
        is_deeply($w, {}, 'a worker has no more');
    }

    for my $a (@{ delete $j->{per_app} }) {
        my $id = delete $a->{app};

        $want{"ngx_chat_app_$app{$_}\{app=\"$id\"}"} = delete $a->{$_}
            for keys %app;
        is_deeply($a, {}, 'an app has no more');
    }

    translate_store(\%want, delete $j->{store}) if $j->{store};

    $want{"ngx_chat_build_info{version=\"$j->{version}\","
          . "nginx=\"$j->{nginx}\"}"} = 1;
    delete $j->{$_} for qw(version nginx uptime_seconds);
    is_deeply($j, {}, 'JSON has nothing that Prometheus has not');

    return \%want;
}


sub translate_store {
    my ($want, $s) = @_;

    my $name = 'ngx_chat_store_commit_seconds';

    $want->{ngx_chat_store_queue_messages} = delete $s->{queued};
    $want->{ngx_chat_store_queue_reads} = delete $s->{reads_queued};
    $want->{ngx_chat_store_page_bytes} = delete $s->{page_bytes};
    $want->{ngx_chat_store_reads_total} = delete $s->{reads};
    $want->{ngx_chat_database_size_bytes} = delete $s->{database_bytes};
    $want->{ngx_chat_database_wal_size_bytes} = delete $s->{wal_bytes};
    $want->{'ngx_chat_store_batches_failed_total{reason="busy"}'}
        = delete $s->{batches_busy};
    $want->{'ngx_chat_store_batches_failed_total{reason="error"}'}
        = delete $s->{batches_failed};
    $want->{"${name}_count"} = delete $s->{commits};
    $want->{"${name}_sum"} = delete($s->{commits_microseconds}) / 1e6;

    for my $bucket (@{ delete $s->{commit_times} }) {
        my $le = $bucket->{microseconds};
        $le = defined $le ? $le / 1e6 : '+Inf';
        $le = '0.0005' if $le eq '0.0005' || $le eq '5e-04';
        $want->{"${name}_bucket{le=\"$le\"}"} = $bucket->{commits};
    }

    is_deeply($s, {}, 'the store has no more');
}


sub agree {
    my ($http, $name) = @_;

    my $j = json($http);
    my $got = metrics($http);
    my $later = json($http)->{store};
    my $want = translate($j);

    # a timer looks at the files: it may have done so meanwhile
    for my $part (qw(database wal)) {
        my $key = 'ngx_chat_database_'
                  . ($part eq 'wal' ? 'wal_size_bytes' : 'size_bytes');
        my ($jn, $pn) = (delete $want->{$key}, delete $got->{$key});
        my $then = $later->{"${part}_bytes"};

        ok(defined $pn && ($pn == $jn || $pn == $then),
           "$name: $key: $jn, then " . ($pn // 'none') . ", then $then");
    }

    for my $key (grep { /^ngx_chat_worker_(?:stall|wakeup)/ } keys %$want) {
        my ($jn, $pn) = (delete $want->{$key}, delete $got->{$key});

        ok(defined $pn && ($key =~ /recent/ || $pn >= $jn),
           "$name: $key: $jn in JSON, then " . (defined $pn ? $pn : 'none'));
    }

    ok(delete $got->{ngx_chat_uptime_seconds}, "$name: the uptime");

    # the numbers as numbers: 1 is 1.0
    is_deeply({ map { $_ => 0 + $got->{$_} } keys %$got },
              { map { $_ => 0 + $want->{$_} } keys %$want },
              "$name: Prometheus says the same");
}


sub promtool {
    my ($text) = @_;

    my $tool = build_dir() . '/promtool/promtool';
    $tool = 'promtool' unless -x $tool;

    my $pid = IPC::Open3::open3(my $in, my $out, undef, $tool, 'check',
                                'metrics');
    print $in $text;
    close $in;

    my $said = do { local $/; <$out> };
    waitpid $pid, 0;

    return ($? >> 8, defined $said ? $said : '');
}


sub check_promtool {
    my ($http, $name) = @_;

    my $text = $http->get('/chat_status?format=prometheus')->{body};
    my ($code, $said) = promtool($text);

    is($said, '', "$name: promtool has nothing to say");
    is($code, 0, "$name: it is content");

    ($code) = promtool("nonsense_total 1\n");
    isnt($code, 0, "$name: and it would not be with anything");
}


my $t = Chat::Pusher->new(workers => 1, app => 'client_events on;',
                          apps => $apps, tls => 1, more => $more);
my $http = $t->http;


subtest 'which format' => sub {
    my $json = 'application/json';
    my $text = 'text/plain; version=0.0.4; charset=utf-8';
    my @cases = (
        [ undef, undef, $json ],
        [ undef, '*/*', $json ],
        [ undef, 'application/json, text/plain, */*', $json ],
        [ undef, 'text/html,application/xhtml+xml,*/*;q=0.8', $json ],
        [ undef, 'application/json;q=0.5', $json ],
        [ undef, 'image/png', $json ],
        [ undef, 'text/plain;q=0', $json ],
        [ undef, 'text/plain;version=0.0.4;q=0.2, application/json', $json ],
        [ undef, 'text/plain;version=0.0.4', $text ],
        [ undef, 'text/plain', $text ],
        [ undef, 'text/plain;version=0.0.4;q=1,*/*;q=0.1', $text ],
        [ undef, 'application/openmetrics-text;version=1.0.0', $text ],
        [ undef, 'application/openmetrics-text;version=1.0.0,'
                 . 'application/openmetrics-text;version=0.0.1;q=0.75,'
                 . 'text/plain;version=0.0.4;q=0.5,*/*;q=0.1', $text ],
        [ undef, 'application/openmetrics-text;version=1.0.0;'
                 . 'escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;'
                 . 'q=0.2,*/*;q=0.1', $text ],
        [ 'json', 'text/plain', $json ],
        [ 'prometheus', 'application/json', $text ],
        [ 'prometheus', undef, $text ],
    );

    for my $case (@cases) {
        my ($format, $accept, $type) = @$case;
        my $path = '/chat_status' . (defined $format ? "?format=$format" : '');
        my %headers = defined $accept ? (Accept => $accept) : ();
        my $name = join ' ', map { defined $_ ? $_ : 'none' } @$case[0, 1];

        for my $method ('GET', 'HEAD') {
            my $res = $http->request($method, $path, \%headers);

            is($res->{status}, 200, "$method, $name: 200");
            is($res->{headers}{'content-type'}, $type, "$method, $name: type");
            is($res->{headers}{'cache-control'}, 'no-store',
               "$method, $name: not to be kept");
            like($res->{body}, $method eq 'HEAD' ? qr/\A\z/
                               : $type eq $json ? qr/\A\{.*\}\z/
                                                : qr/\A# HELP .*\n\z/s,
                 "$method, $name: body");
        }
    }

    for my $format ('', 'xml', 'JSON', 'prometheus2') {
        my $res = $http->get("/chat_status?format=$format");

        is($res->{status}, 400, "format=$format: 400");
        like(from_json($res->{body})->{error}, qr/prometheus/, 'says which');
    }

    my $res = $http->post('/chat_status', {});
    is($res->{status}, 405, 'POST: 405');
    is($res->{headers}{allow}, 'GET, HEAD', 'and what is allowed');

    $res = $http->get('/cors?format=prometheus',
                      { Origin => 'https://a.example' });
    is($res->{headers}{'access-control-allow-origin'}, 'https://a.example',
       'CORS');
};


subtest 'at the beginning' => sub {
    agree($http, 'nothing');
    check_promtool($http, 'nothing');

    my ($value, $type) = parse(
        $http->get('/chat_status?format=prometheus')->{body});

    is(join(' ', grep { is_bad($_) && $value->{$_} } sort keys %$value), '',
       'nothing is refused');
    is(join(' ', grep { ($type->{$_} eq 'counter') != /_total$/ }
                 sort keys %$type), '', 'counters end in _total');
    is($value->{ngx_chat_workers}, 1, 'a worker');
    is(json($http)->{per_worker}[0]{pid}, ($t->server->worker_pids)[0],
       'with its pid');
};


subtest 'connections, subscriptions, events and bytes' => sub {
    my ($ws, $other, @got);
    my $third = $t->ws;

    moves($http, sub { $ws = $t->ws }, {
        ngx_chat_connections => 1, ngx_chat_connections_total => 1,
    }, 'a connection');

    my $frame = $ws->frame(payload => '{"event":"pusher:subscribe","data":'
                                      . '{"channel":"a"}}');

    moves($http, sub {
        $ws->send_raw($frame);
        @got = $ws->next_event->{raw};
    }, {
        ngx_chat_subscriptions => 1, ngx_chat_channels => 1,
        ngx_chat_commands_total => 1,
        ngx_chat_received_bytes_total => length $frame,
        ngx_chat_sent_bytes_total => 2 + length
            '{"event":"pusher_internal:subscription_succeeded",'
            . '"channel":"a","data":"{}"}',
    }, 'a subscription');

    is((wire(@got))[0], 2 + length $got[0], 'those were the bytes');

    $other = $t->ws;
    subscribe_to($other, $_) for 'a', 'b';

    my $text = 'y' x 500;
    my $sent = 0;

    # the texts are as long in all of them: ids of one digit
    moves($http, sub {
        $t->publish('a', $text) for 1 .. 3;
        @got = map { my $ws = $_; map { $ws->next_event->{raw} } 1 .. 3 }
               $ws, $other;
        $sent += $_ for wire(@got);
    }, {
        ngx_chat_events_total => 3, ngx_chat_deliveries_total => 6,
        ngx_chat_messages_stored_total => 3,
    }, 'events');

    cmp_ok($sent, '>', 6 * 500, 'they are long');

    my $before = metrics($http)->{ngx_chat_sent_bytes_total};
    $t->publish('a', $text);
    $sent = 0;
    $sent += $_ for wire(map { $_->next_event->{raw} } $ws, $other);
    is(metrics($http)->{ngx_chat_sent_bytes_total} - $before, $sent,
       'bytes of an event, exactly');

    moves($http, sub {
        join_presence($_->[0], 'presence-a', $_->[1])
            for [ $ws, 'u' ], [ $other, 'u' ], [ $third, 'v' ];
        $_->next_event for $ws, $other;
    }, { ngx_chat_members => 2, ngx_chat_events_total => 2 }, 'members');

    moves($http, sub {
        subscribe_to($_, 'private-a') for $ws, $other;
        client_event($ws, 'private-a', 'client-x', {});
        1 while $other->next_event->{event} ne 'client-x';
    }, { ngx_chat_client_events_total => 1, ngx_chat_events_total => 1,
         ngx_chat_deliveries_total => 1 }, 'a client event');

    moves($http, sub { $ws->unsubscribe('a'); $ws->nothing_waits },
          { ngx_chat_subscriptions => -1 }, 'one less');
    moves($http, sub { $ws->disconnect },
          { ngx_chat_connections => -1, ngx_chat_connections_total => 0,
            ngx_chat_subscriptions => -2 }, 'one leaves');
    agree($http, 'some');
};


subtest 'chat_events' => sub {
    my ($stream, $position);

    moves($http, sub {
        $stream = Chat::Events->new(port => $t->port, channels => 'a,b');
    }, { ngx_chat_connections => 1, ngx_chat_connections_events => 1,
         ngx_chat_connections_total => 1, ngx_chat_subscriptions => 2,
         ngx_chat_connections_fallback => 0 }, 'a stream');

    moves($http, sub {
        $position = poll($http, path_of('a', timeout => 1))->{json}{position};
    }, { ngx_chat_connections_events => 0, ngx_chat_connections_total => 1,
         resumed('ring') => 0, resumed('gone') => 0 }, 'a poll');

    moves($http, sub { poll($http, path_of('a', last_event_id => $position,
                                                 timeout => 1)) },
          { resumed('ring') => 1, resumed('history') => 0,
            resumed('gone') => 0 }, 'the next one');
    moves($http, sub { poll($http, path_of('a', last_event_id => 'x')) },
          { resumed('ring') => 0, resumed('gone') => 1 }, 'a lie');
    moves($http, sub { $stream->close },
          { ngx_chat_connections => -1, ngx_chat_connections_events => -1 },
          'it leaves');
};


subtest 'TLS: bytes of the protocol, not of TLS' => sub {
    my $ws = Chat::WebSocket->established(port => $t->server->tls_port,
                                          tls => 1);
    my $frame = $ws->frame(payload => '{"event":"pusher:ping"}');

    moves($http, sub { $ws->send_raw($frame); $ws->next_event },
          { ngx_chat_received_bytes_total => length $frame,
            ngx_chat_sent_bytes_total =>
                2 + length '{"event":"pusher:pong","data":"{}"}' }, 'a ping');
};


sub raw {
    my ($path, @args) = @_;

    my $ws = Chat::WebSocket->new(port => $t->port, path => $path, @args);

    $ws->wait_close if $ws->{status} == 101;

    return $ws;
}


subtest 'connections refused' => sub {
    my %paths = (
        4000 => '/app/tls?protocol=7', 4001 => '/app/nobody?protocol=7',
        4003 => '/app/off?protocol=7', 4005 => '/app/?protocol=7',
        4007 => '/app/' . APP_KEY . '?protocol=99',
    );

    moves($http, sub { raw($paths{$_}) }, { refused($_) => 1,
          ngx_chat_connections => 0, ngx_chat_connections_total => 0 },
          "code $_")
        for sort keys %paths;

    my $one = $t->ws_of('one');
    moves($http, sub { raw('/app/one?protocol=7') for 1 .. 3 },
          { refused(4004) => 3 }, 'code 4004');

    moves($http, sub {
        is(raw('/mine/app/' . APP_KEY,
               headers => [ 'Origin: https://b.example' ])->{status}, 403);
    }, { ngx_chat_origins_refused_total => 1 }, 'an origin');
};


subtest 'subscriptions refused' => sub {
    my $ws = $t->ws;
    my $few = $t->ws_of('few');
    my @member = map { $t->ws_of('member') } 1 .. 2;
    my %s = (key => 'member', secret => 's');

    subscribe_to($few, 'one');
    join_presence($member[0], 'presence-x', 'a', undef, %s);
    subscribe_to($ws, 'here');

    my @cases = (
        [ 'name', $ws, 'bad name!' ],
        [ 'signature', $ws, 'private-x', auth => APP_KEY . ':' . 'a' x 64 ],
        [ 'signature', $ws, 'private-x', auth => 'nobody:' . 'a' x 64 ],
        [ 'signature', $ws, 'presence-x', auth => undef ],
        [ 'user', $ws, '#server-to-user-x' ],
        [ 'member', $ws, 'presence-x', data => '{"no":"id"}' ],
        [ 'channels', $few, 'two' ],
        [ 'members', $member[1], 'presence-x', data => member('b'), %s ],
        [ 'duplicate', $ws, 'here' ],
    );

    for my $case (@cases) {
        my ($reason, $ws, $channel, @more) = @$case;

        moves($http, sub {
            send_subscribe($ws, $channel, @more);
            is($ws->next_event->{event}, 'pusher:error', "$channel is refused");
            $ws->drain;
        }, { denied($reason) => 1, ngx_chat_subscriptions => 0 }, $reason);
    }
};


subtest 'client events and commands refused' => sub {
    my $ws = $t->ws;
    my $off = $t->ws_of('few');

    subscribe_to($ws, 'public');
    subscribe_to($ws, 'private-x');

    my @cases = (
        [ 'disabled', sub { client_event($off, 'private-x', 'client-a', 1) },
          $off ],
        [ 'invalid', sub { $ws->send_event({ event => 'client-a',
                                             channel => 'private-x' }) } ],
        [ 'channel', sub { client_event($ws, 'public', 'client-a', 1) } ],
        [ 'not_subscribed',
          sub { client_event($ws, 'private-y', 'client-a', 1) } ],
        [ 'size', sub { client_event($ws, 'private-x', 'client-a',
                                     'x' x 20000) } ],
        [ 'size', sub { client_event($ws, 'private-x', 'client-' . 'a' x 300,
                                     1) } ],
    );

    for my $case (@cases) {
        my ($reason, $cause, $from) = @$case;

        moves($http, sub {
            $cause->();
            is(($from || $ws)->next_event->{event}, 'pusher:error',
               "$reason: an error");
        }, { muted($reason) => 1, ngx_chat_client_events_total => 0 },
           $reason);
    }

    # all within one read of the worker, and so in one second
    moves($http, sub {
        $ws->send_raw(join '', map {
            $ws->frame(payload => '{"event":"client-a","channel":'
                                  . '"private-x","data":"1"}') } 1 .. 13);
        $ws->drain;
    }, { muted('rate') => 3, ngx_chat_client_events_total => 10 }, 'rate');

    moves($http, sub {
        $ws->send_text($_) for '{', '[]', '{"event":"pusher:what"}';
        $ws->drain;
    }, { ngx_chat_commands_invalid_total => 3 }, 'invalid');

    moves($http, sub {
        is(signin($ws, { id => 'u' }, auth => APP_KEY . ':' . 'a' x 64)
               ->{event}, 'pusher:error', 'a signature');
        is(signin($ws, '{}')->{event}, 'pusher:error', 'nobody');
    }, { ngx_chat_signins_refused_total => 2 }, 'sign-ins');
};


subtest 'connections closed' => sub {
    moves($http, sub {
        my $ws = $t->ws;
        $ws->send_frame(payload => 'x', masked => 0);
        $ws->wait_close;
    }, { closed('protocol') => 1, ngx_chat_connections => 0 }, 'protocol');

    moves($http, sub { is($t->ws_of('known')->wait_close, 4009, 'code 4009') },
          { closed('unauthorized') => 1 }, 'unauthorized');

    moves($http, sub {
        my @ws = map { $t->ws } 1 .. 2;
        signin($_, { id => 'gone' }) for @ws;
        is(Chat::API->new(port => $t->port)->terminate('gone')->{status},
           200, 'terminate');
        $_->wait_close for @ws;
    }, { closed('terminated') => 2 }, 'terminated');

    # the client's own leaving is none of these
    moves($http, sub {
        my $ws = $t->ws;
        $ws->send_close(1000);
        $ws->wait_close;
    }, { ngx_chat_connections => 0, ngx_chat_connections_total => 1 },
       'a good end');
};


subtest 'the store' => sub {
    my $name = 'ngx_chat_store_commit_seconds';
    my $before = metrics($http);
    my $locker = Chat::Locker->new($t->server->database);

    $locker->lock;

    my @posts = map {
        my $client = Chat::HTTP->new(port => $t->port, timeout => 60);
        $client->send_raw(Chat::HTTP->format_request('POST', '/publish',
            { 'Content-Type' => 'application/json', 'X-Channel' => 'z',
              'X-Event' => 'news' }, '{"content":"queued"}'));
        $client;
    } 1 .. 5;

    ok(wait_for(5, sub {
        return metrics($http)->{ngx_chat_store_queue_messages} == 5;
    }), 'what waits for the database is counted');

    is(metrics($http)->{"${name}_count"}, $before->{"${name}_count"},
       'nothing is committed');

    # longer than the bucket of 0.25 s, and time for the thread to begin
    sleep(1);
    $locker->unlock;
    is($_->read_response('POST')->{status}, 201, 'then it is') for @posts;

    my $after = metrics($http);
    my $count = $after->{"${name}_count"} - $before->{"${name}_count"};

    is($after->{ngx_chat_store_queue_messages}, 0, 'nothing waits');
    cmp_ok($count, '>=', 1, 'commits');
    cmp_ok($count, '<=', 5, 'not more than messages');
    is($after->{"${name}_bucket{le=\"+Inf\"}"}, $after->{"${name}_count"},
       'the last bucket has all');
    cmp_ok($count - ($after->{"${name}_bucket{le=\"0.25\"}"}
                     - $before->{"${name}_bucket{le=\"0.25\"}"}), '>=', 1,
           'one that took long is in a late bucket');
    cmp_ok($after->{"${name}_sum"} - $before->{"${name}_sum"}, '>', 0.25,
           'and in the sum');

    my $last = 0;
    my @buckets = sort { ($a =~ /([\d.]+)"/)[0] <=> ($b =~ /([\d.]+)"/)[0] }
                  grep { /^\Q$name\E_bucket\{le="[\d.]/ } keys %$after;

    is(scalar(@buckets), 13, 'buckets');
    for (@buckets) {
        cmp_ok($after->{$_}, '>=', $last, "$_ has what is below it");
        $last = $after->{$_};
    }

    is($locker->finish, 0, 'sqlite3 ended well');

    my $path = $t->server->database;

    ok(wait_for(5, sub {
        my $m = metrics($http);

        return $m->{ngx_chat_database_size_bytes} == -s $path
               && $m->{ngx_chat_database_wal_size_bytes} == -s "$path-wal";
    }), 'sizes of the files');
};


subtest 'shared memory' => sub {
    my $size = sub {
        my ($m, $part) = @_;
        return $m->{"ngx_chat_memory_used_bytes{part=\"$part\"}"}
               + $m->{"ngx_chat_memory_free_bytes{part=\"$part\"}"};
    };
    my $before = metrics($http);

    $t->publish('cache-a', 'x' x 1000);
    Chat::API->new(port => $t->port)->trigger({ name => 'e', data => 'd',
        channel => 'a', idempotency_key => 'k' });
    my $ws = $t->ws;
    subscribe_to($ws, 'room');

    my $after = metrics($http);

    for my $part (qw(ring arena cached_events answers)) {
        my $key = "ngx_chat_memory_used_bytes{part=\"$part\"}";

        cmp_ok($after->{$key}, '>', $before->{$key}, "$part: more is used");
        is($size->($after, $part), $size->($before, $part),
           "$part: and less is free");
    }

    agree($http, 'much');
    check_promtool($http, 'much');
};


$t->finish;


# ---- a stalled event loop: the access log is a pipe that nobody reads

subtest 'a stall' => sub {
    my $server = Chat::Server->new(workers => 1, locations => <<'END');
        location = /fifo { access_log logs/fifo; chat_status; }
        location = /chat_status { chat_status; }
END
    my $path = $server->dir . '/logs/fifo';

    POSIX::mkfifo($path, 0666) or die "mkfifo: $!";
    sysopen my $fifo, $path, O_RDWR | O_NONBLOCK or die "open $path: $!";

    $server->start;

    my $http = Chat::HTTP->new(port => $server->port);
    my $before = json($http)->{per_worker}[0];

    for my $size (4096, 1) {
        1 while syswrite $fifo, 'x' x $size;
    }

    # the answer is sent before it is logged
    is($http->get('/fifo')->{status}, 200, 'a request');

    # longer than any turn before
    my $seconds = 0.4 + $before->{stall_max_microseconds} / 1e6;
    sleep($seconds);

    # that much room lets the worker go
    1 while sysread $fifo, my $bytes, 65536;

    my $after = json($http)->{per_worker}[0];
    my $stall = $after->{stall_max_microseconds} / 1e6;

    cmp_ok($stall, '>=', $seconds - 0.05, 'the turn was as long as that');

    # a timer of 250 ms became due meanwhile; an idle worker is late by a few ms
    cmp_ok($before->{wakeup_delay_max_microseconds}, '<', 60e6,
           'before, timers were not late');
    ok(wait_for(10, sub {
           json($http)->{per_worker}[0]{wakeup_delay_max_microseconds} / 1e6
           >= $seconds - 0.3;
       }), 'one was late by the rest');
    is($after->{stall_recent_max_microseconds},
       $after->{stall_max_microseconds}, 'and lately, too');

    my $pid = ($server->worker_pids)[0];
    my $key = "ngx_chat_worker_stall_max_seconds{pid=\"$pid\"}";

    cmp_ok(metrics($http)->{$key}, '>=', $stall, 'in seconds');
    $server->finish;
};


# ---- two workers

sub of_worker {
    my ($http, $pid) = @_;

    return (grep { $_->{pid} == $pid } @{ json($http)->{per_worker} })[0];
}


# A connection to the worker with that pid.

sub http_of {
    my ($t, $pid) = @_;

    for (1 .. 1000) {
        my $http = Chat::HTTP->new(port => $t->port);

        return $http if $http->get('/chat_status')->{headers}{'x-worker'}
                        == $pid;
    }

    die "worker $pid does not answer";
}


subtest 'a worker that is stopped' => sub {
    my $t = Chat::Pusher->new(workers => 2, zone => '1m');
    my @ws = $t->spread(6);
    my ($stopped, $running) = map { $_->header('X-Worker') } @ws;
    my $http = http_of($t, $running);

    # what is stopped below must not be about to open the database
    for my $one (http_of($t, $stopped), $http) {
        is($one->post('/publish', { content => 'first' },
                      { 'X-Channel' => 'b', 'X-Event' => 'news' })->{status},
           201, 'each can store');
    }

    subscribe_to($_, 'a') for @ws;

    for my $pid ($stopped, $running) {
        my $w = of_worker($http, $pid);

        is($w->{connections}, 3, 'connections of one');
        is($w->{subscriptions}, 3, 'and subscriptions');
        is($w->{bus_lag_bytes}, 0, 'it is not behind');
    }

    my $ring = json($http)->{memory}{ring};
    $ring = $ring->{used_bytes} + $ring->{free_bytes};

    my $before = metrics($http);

    stop_worker($stopped);

    my $start = time();
    my $text = 'z' x 9000;
    my $lag = 0;
    my $n = 0;

    # more than the ring takes
    while (json($http)->{bus_position_bytes} < $ring * 1.2) {
        my $res = $http->post('/publish', { content => $text },
                              { 'X-Channel' => 'a', 'X-Event' => 'news' });
        die "POST: $res->{status}" unless $res->{status} == 201;
        $n++;

        my $now = of_worker($http, $stopped)->{bus_lag_bytes};
        $lag++ if $now <= 9000 * ($n - 1);
    }

    is($lag, 0, 'it falls behind with each event');
    cmp_ok(json($http)->{memory}{ring}{free_bytes}, '<', $ring / 4,
           'the ring is full');

    # its timers are due every 0.25 s
    my $left = 0.6 - (time() - $start);
    sleep($left) if $left > 0;
    kill 'CONT', $stopped;

    ok(wait_for(10, sub { json($http)->{connections} == 3 }),
       'its clients are sent away');

    my $after = metrics($http);
    my $w = of_worker($http, $stopped);

    is($after->{ngx_chat_overruns_total}, 1, 'it is overrun');
    is($w->{overruns}, 1, 'as its own line says');
    is(of_worker($http, $running)->{overruns}, 0, 'the other is not');
    is($w->{bus_lag_bytes}, 0, 'it is not behind any more');
    is($after->{closed('overrun')} - $before->{closed('overrun')}, 3,
       'its clients are counted');

    # most of its time it waits: it was stopped in that, if not in a turn
    cmp_ok($w->{wakeup_delay_max_microseconds} > $w->{stall_max_microseconds}
               ? $w->{wakeup_delay_max_microseconds}
               : $w->{stall_max_microseconds}, '>', 0.3e6,
           'that it did not run is seen');

    $t->server->expect_log(qr/chat worker was overrun/);
    is($t->server->incident('ring_overrun')->{pid}, $stopped,
       'the console tells which');
    $t->finish;
};


subtest 'a slow subscriber' => sub {
    my $t = Chat::Pusher->new(workers => 1, listen => 'sndbuf=16k',
                              server => 'chat_send_buffer 32k;');
    my $http = $t->http;

    moves($http, sub {
        my $ws = $t->ws(rcvbuf => 4096);

        subscribe_to($ws, 'a');

        for (1 .. 200) {
            $t->publish('a', 's' x 9000);
            last if json($http)->{slow_subscribers_closed};
        }
    }, { closed('slow') => 1 }, 'slow');

    $t->finish;
};


# Subscribes until it is refused: how many it got, and how many it did not.

sub fill {
    my ($t, $key) = @_;

    my ($n, $denied, @ws) = (0, 0);

    while ($denied == 0 && @ws < 20) {
        push @ws, my $ws = $t->ws_of($key);

        for my $from (0 .. 9) {
            last if $denied;

            $ws->send_raw(join '', map {
                $ws->frame(payload => '{"event":"pusher:subscribe","data":'
                                      . '{"channel":"' . ($n + $_) . '"}}');
            } 1 .. 100);
            $n += 100;

            $denied = grep { $_->[1] =~ /subscription_error/ }
                      @{ $ws->drain };
        }
    }

    return ($n - $denied, $denied, @ws);
}


sub app_metric { return "ngx_chat_app_zone_$_[0]\{app=\"$_[1]\"}" }


subtest 'a full zone' => sub {
    my $t = Chat::Pusher->new(workers => 1, zone => '1m',
                              http => 'chat_drain 1h;');
    my $http = $t->http;

    # a worker that leaves sends these away first, one every 0.25 s
    my @idle = map { $t->ws } 1 .. 100;

    my ($n, $denied, @ws) = fill($t, APP_KEY);
    my $m = metrics($http);
    my $size = json($http)->{zone_size_bytes};

    cmp_ok($denied, '>', 0, 'the zone is full for the app');
    is($m->{denied('capacity')}, $denied, 'each refusal is counted');
    is($m->{app_metric('refused_total', 17536051)}, $denied, 'for the app');
    is($m->{app_metric('refused_total', 2)}, 0, 'and not for the other');
    is(json($http)->{subscriptions_refused}, $denied, 'and no other');
    is($m->{ngx_chat_subscriptions}, $n, 'the others are there');

    # conf/directives.md: half of the arena is divided evenly
    is($m->{app_metric('share_bytes', $_)}, int(int($size / 2) / 2),
       "the share of app $_") for 17536051, 2;
    is($m->{app_metric('held_bytes', 2)}, 0, 'the other has nothing');
    is($m->{app_metric('held_bytes', 17536051)},
       4096 * int(($size - $m->{app_metric('share_bytes', 2)}) / 4096),
       'the one holds all but the share of the other');

    my ($others, $refused, @more) = fill($t, 'other-key');

    is(metrics($http)->{app_metric('refused_total', 2)}, $refused,
       'the other is refused beyond it');
    agree($http, 'full');
    check_promtool($http, 'full');

    # an app that comes when all is taken
    $t->server->write_conf(http => <<'END');
    chat_drain 1h;
    chat_app 2 { key other-key; secret other-secret; }
    chat_app 5 { key one; secret s; max_connections 1; }
END
    $t->server->reload;
    $http = Chat::HTTP->new(port => $t->port);

    my $before = metrics($http);
    is(Chat::WebSocket->new(port => $t->port, path => '/app/one?protocol=7')
           ->wait_close, 4100, 'it is refused');

    # not by moves(): the old worker's clients are sent away meanwhile
    my $after = metrics($http);
    is($after->{$_} - $before->{$_}, 1, $_)
        for refused(4100), app_metric('refused_total', 5);

    # nginx calls sockets left that a leaving worker has at the end
    $_->disconnect for @idle, @ws, @more;
    ok(wait_for(20, sub { $t->server->all_worker_pids == 1 }),
       'the old worker leaves');

    $t->server->expect_log(
        qr/chat_zone is full for app "(?:17536051|2|5)"/);
    $t->finish;
};


subtest 'what outlives a worker' => sub {
    my $t = Chat::Pusher->new(workers => 2);
    my @ws = $t->spread(6);
    my $killed = $ws[0]->header('X-Worker');
    my @others = grep { $_->header('X-Worker') != $killed } @ws;

    subscribe_to($_, 'a') for @ws;
    $t->publish('a', 'x');
    $_->next_event for @ws;

    # who answers has counted what it has sent
    my %counted;

    ok(wait_for(30, sub {
        my $res = Chat::HTTP->new(port => $t->port)->get('/chat_status');

        $counted{ $res->{headers}{'x-worker'} } = 1;

        return keys %counted == 2;
    }), 'all is counted');

    my $before = metrics($t->http);
    my $uptime = $before->{ngx_chat_uptime_seconds};

    $t->kill_worker($killed);

    my $http = $t->http;
    my $died = 'ngx_chat_workers_died_total';

    ok(wait_for(10, sub {
        my $j = json($http);
        return $j->{workers_died} == 1 && $j->{workers} == 2;
    }), 'a dead worker is counted');

    my $after = metrics($http);

    is($after->{closed('worker_died')}, 3, 'and its connections');
    is($after->{ngx_chat_connections}, 3, 'which are gone');
    is($after->{$_}, $before->{$_}, "$_ is as before") for qw(
        ngx_chat_connections_total ngx_chat_commands_total
        ngx_chat_deliveries_total ngx_chat_events_total
        ngx_chat_messages_stored_total ngx_chat_received_bytes_total
        ngx_chat_sent_bytes_total ngx_chat_store_commit_seconds_count);
    is(join(' ', sort { $a <=> $b }
                 map { $_->{pid} } @{ json($http)->{per_worker} }),
       join(' ', $t->server->worker_pids), 'lines of those that live');

    my %old = map { $_ => 1 } $t->server->worker_pids;

    $t->server->reload;
    $_->wait_close(20) for @others;

    ok(wait_for(20, sub {
        return !grep { $old{$_} } $t->server->all_worker_pids;
    }), 'the old workers leave');

    $http = Chat::HTTP->new(port => $t->port);
    $after = metrics($http);

    is($after->{closed('shutdown')}, 3, 'clients of a reload are counted');
    is($after->{$died}, 1, 'nobody else died');
    is($after->{ngx_chat_workers}, 2, 'the new workers');
    is($after->{ngx_chat_messages_stored_total}, 1, 'counters stay');
    cmp_ok($after->{ngx_chat_uptime_seconds}, '>', $uptime,
           'the uptime goes on');
    agree($http, 'after a reload');
    $t->finish;
};


# SQLite has the WAL beside the file, not beside the link.

subtest 'a database behind a symbolic link' => sub {
    my $server = Chat::Server->new(workers => 1);
    my $path = $server->database;
    my $file = $server->dir . '/behind.db';

    (my $folder = $path) =~ s{/[^/]*\z}{};
    mkdir $folder or die "mkdir: $!";
    Chat::Server::spew($file, '');
    symlink $file, $path or die "symlink: $!";
    $server->start;

    my $http = Chat::HTTP->new(port => $server->port);

    is($http->post('/messages', { content => 'a' })->{status}, 201,
       'a message');

    my $store;

    ok(wait_for(10, sub {
           $store = from_json($http->get('/chat_status')->{body})->{store};
           return $store->{wal_bytes} == -s "$file-wal";
       }), 'the size of the WAL');
    is($store->{database_bytes}, -s $file, 'and of the file');
    $server->finish;
};


done_testing();
