# Webhooks: every row of the protocol's section 7, and what goes beyond it.
# Takes a minute and a half: the protocol's 3 s of grace and 4 s for an answer
# can't be configured, and behind a restart clients have 10 s to come back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;
use Time::HiRes qw(time sleep);

use Chat::HTTP qw(from_json json_bytes);
use Chat::Pusher qw(subscribe_to join_presence client_event signin);
use Chat::Receiver;
use Chat::Server qw(build_dir wait_for slurp spew APP_ID);
use Chat::TLS qw(make_certificate);

my $id = APP_ID;
my $dir = build_dir() . "/t/webhooks-$$-receivers";

File::Path::make_path($dir);
make_certificate("$dir/key.pem", "$dir/cert.pem");
make_certificate("$dir/other-key.pem", "$dir/other-cert.pem");

my %r = map {
    $_ => Chat::Receiver->new(dir => $dir, name => $_,
              /^tls/ ? (tls => [ /bad/ ? ("$dir/other-key.pem",
                                          "$dir/other-cert.pem")
                                       : ("$dir/key.pem", "$dir/cert.pem") ])
                     : ())
} qw(all single rooms again dead redirect elsewhere hang slow reset half tls
     tlsbad second);

my $all = 'events=channel_occupied,channel_vacated,member_added,'
          . 'member_removed,client_event,cache_miss,message_stored,'
          . 'connection_closed';

my $hooks = join '', "webhook @{[$r{all}->url]} $all"
                     . " channels=a-*,presence-a*,cache-a*,private-a*;\n",
    "webhook @{[$r{single}->url]} batch=off channels=single-*;\n",
    "webhook @{[$r{rooms}->url]} channels=room-*,lobby;\n",
    "webhook @{[$r{again}->url]} events=channel_occupied channels=again-*;\n",
    "webhook @{[$r{dead}->url]} events=channel_occupied channels=dead-*"
    . " retry=5s;\n",
    map({ "webhook @{[$r{$_}->url]} events=channel_occupied"
          . " channels=$_-* retry=30s;\n" }
        qw(redirect hang slow reset half tls tlsbad));

# the oldest pair of credentials stands last
my $second = "chat_app 7 { key new-key; secret new-secret; key old-key;"
             . " secret old-secret; subscription_count on;"
             . " webhook @{[$r{second}->url]}; }\n";

my $t = Chat::Pusher->new(
    workers => 2,
    app     => "client_events on;\n$hooks",
    apps    => $second,
    http    => "chat_webhook_trusted_certificate $dir/cert.pem;\n",
    more    => "location /console/ { chat_console; }\n",
);

my $server = $t->server;


sub console {
    my ($name) = @_;

    my ($hook) = grep { $_->{url} eq $r{$name}->url } $t->webhooks;

    return $hook;
}


# Occupies a channel and leaves it occupied.

my %open;

sub occupy {
    my ($channel) = @_;

    $open{$channel} = $t->ws;
    subscribe_to($open{$channel}, $channel);
}


subtest 'what arrives: header and members' => sub {
    my ($ann, $bob) = map { $t->ws } 1 .. 2;

    subscribe_to($ann, 'a-room');
    subscribe_to($_, 'private-a') for $ann, $bob;
    is(join_presence($ann, 'presence-a', 'ann', { name => 'Ann' })->{count}, 1,
       'a member');
    join_presence($bob, 'presence-a', 'bob');
    client_event($ann, 'presence-a', 'client-typing', { on => JSON::PP::true });
    client_event($bob, 'private-a', 'client-x', 'text');
    $t->publish('a-room', "he\x{142}\"lo");

    $r{all}->wait_texts(8);

    my @reqs = $r{all}->requests;
    my ($req) = @reqs;

    is(scalar(grep { !Chat::Receiver::is_signed($_) } @reqs), 0,
       'P100: each is signed over its exact body');
    is($req->{method}, 'POST', 'a POST');
    is($req->{path}, '/hook', 'to the path');
    is(Chat::Receiver::header($req, 'Content-Type'), 'application/json',
       'P100: Content-Type is exactly application/json');
    is(Chat::Receiver::header($req, 'Expect'), '', 'no Expect');
    like(Chat::Receiver::header($req, 'X-Chat-Webhook-Id'),
         qr/\A[0-9a-f]{32}-\d+\z/, 'an id');

    like($req->{body},
         qr/\A\{"time_ms":\d{13},"events":\[\{"name":"[^\n]*\}\]\}\z/,
         'the body begins with time_ms, an integer, and has no newline');
    cmp_ok(abs(from_json($req->{body})->{time_ms} - time() * 1000), '<', 60000,
           'it is the time of now, in ms');

    my @events = $r{all}->events;
    my $find = sub { grep { $_->{name} eq $_[0] } @events };

    is_deeply([ sort map { $_->{channel} } $find->('channel_occupied') ],
              [ qw(a-room presence-a private-a) ], 'channel_occupied');
    is_deeply([ $find->('member_added') ],
              [ map { { name => 'member_added', channel => 'presence-a',
                        user_id => $_ } } qw(ann bob) ],
              'P102: member_added');
    # of two channels, by two workers: in any order
    is_deeply([ sort { $a->{channel} cmp $b->{channel} }
                $find->('client_event') ], [
        { name => 'client_event', channel => 'presence-a',
          event => 'client-typing', data => '{"on":true}',
          socket_id => $ann->socket_id, user_id => 'ann' },
        { name => 'client_event', channel => 'private-a',
          event => 'client-x', data => 'text',
          socket_id => $bob->socket_id } ], 'P103: client_event');

    my ($stored) = $find->('message_stored');

    is($stored->{event}, 'news', 'message_stored: the event');
    is($stored->{message_id}, '1', 'its id, a string');
    is(from_json(Encode::encode('utf8', $stored->{data}))->{content},
       "he\x{142}\"lo", 'its data is the message');

    my %at;
    my @texts = $r{all}->texts;
    $at{ $texts[$_] } = $_ for reverse 0 .. $#texts;

    cmp_ok($at{'channel_occupied presence-a'}, '<',
           $at{'member_added presence-a ann'}, 'a channel before its member');
    cmp_ok($at{'member_added presence-a ann'}, '<',
           $at{'member_added presence-a bob'}, 'members in their order');

    $r{all}->forget;

    # a second socket of a user is no member, and its end is none
    my $also = $t->ws;
    join_presence($also, 'presence-a', 'ann');
    my $socket = $also->socket_id;
    signin($bob, { id => 'bob' });
    $also->disconnect;
    my $left = time();
    $bob->disconnect;
    $ann->disconnect;

    my @gone = $r{all}->wait_texts(5, qr/^(?:channel_vacated|member_removed)/);

    is_deeply([ sort @gone ], [ 'channel_vacated a-room',
              'channel_vacated presence-a', 'channel_vacated private-a',
              'member_removed presence-a ann',
              'member_removed presence-a bob' ], 'vacated and removed, once');
    my ($late) = grep { $_->{body} =~ /vacated/ } $r{all}->requests;
    cmp_ok($late->{time} - $left, '>=', 3, 'P101: after 3 s');

    my %closed = map { $_->{socket_id} => $_ }
                 grep { $_->{name} eq 'connection_closed' } $r{all}->events;

    is_deeply($closed{$socket}, { name => 'connection_closed', channel => '',
              socket_id => $socket, code => '1006' }, 'connection_closed');
    is($closed{ $bob->socket_id }{user_id}, 'bob', 'of a user');
    is(scalar keys %closed, 3, 'of each connection');
};


subtest 'who is back within 3 s was not away' => sub {
    my $stay = $t->ws;
    my ($n, $ws, $left) = (0);

    # those that a busy machine keeps away for too long show nothing
    do {
        $n++;
        $r{all}->forget;
        $ws = $t->ws;
        subscribe_to($ws, "a-flap$n");
        join_presence($ws, "presence-a$n", 'eve');
        $r{all}->wait_texts(3, qr/flap$n|presence-a$n/);

        # away for good, a little before the others are back
        my $gone = $t->ws;
        subscribe_to($gone, "a-gone$n");
        $r{all}->wait_texts(1, qr/occupied a-gone$n/);

        $left = time();
        $ws->disconnect;
        $ws = $t->ws;
        $gone->disconnect;
        subscribe_to($ws, "a-flap$n");
        join_presence($ws, "presence-a$n", 'eve');
    } while (time() - $left > 2 && $n < 9);

    is(scalar $r{all}->wait_texts(1, qr/vacated a-gone$n/), 1, 'the fence');
    is_deeply([ $r{all}->texts(qr/(?:occupied|vacated|member_\w+)
                                  [ ]\S*(?:flap|presence-a)$n/x) ],
              [ "channel_occupied a-flap$n", "channel_occupied presence-a$n",
                "member_added presence-a$n eve" ], 'P101: neither, nor');
};


subtest 'batches, and one event in each request' => sub {
    my $ws = $t->ws;

    subscribe_to($ws, "single-$_") for 1 .. 30;
    subscribe_to($ws, "room-$_") for 1 .. 30;
    subscribe_to($ws, 'lobby');
    subscribe_to($ws, 'lobby-2');

    is(scalar $r{single}->wait_texts(30), 30, 'all arrive');
    is(scalar $r{single}->requests, 30, 'P105: one in each');

    my @texts = $r{rooms}->wait_texts(31);
    is(scalar @texts, 31, 'all arrive in batches');
    is(scalar(grep { /lobby-2/ } @texts), 0, 'but of other channels');
    is_deeply([ grep { /^channel_occupied/ } @texts ],
              [ map({ "channel_occupied room-$_" } 1 .. 30),
                'channel_occupied lobby' ], 'in order');

    my @sizes = map { scalar @{ from_json($_->{body})->{events} } }
                $r{rooms}->requests;
    is(scalar(grep { $_ > 20 } @sizes), 0, '20 at most');
    cmp_ok(scalar @sizes, '<', 31, 'several in one');

    is(scalar(grep { $_->{body} =~ /client_event|stored|closed/ }
              $r{rooms}->requests), 0, 'others only where they are named');

    my %by = map { $_->{connection} => 1 } $r{single}->requests;
    cmp_ok(scalar keys %by, '<', 10, 'connections are used again');
    $ws->disconnect;
};


subtest 'cache_miss, once for many' => sub {
    $r{all}->forget;
    my @ws = map { $t->ws } 1 .. 5;

    for my $ws (@ws) {
        subscribe_to($ws, 'cache-a');
        is($ws->next_event->{event}, 'pusher:cache_miss', 'told itself');
    }

    subscribe_to($ws[0], 'a-fence');
    $r{all}->wait_texts(1, qr/occupied a-fence/);
    my $missed = qr/^cache_miss cache-a$/;
    is(scalar(@{[ $r{all}->texts($missed) ]}), 1, 'P58: once');

    $t->publish('cache-a', 'filled');
    my $told = $t->ws;
    subscribe_to($told, 'cache-a');
    is($told->next_event->{event}, 'news', 'is cached');
    subscribe_to($told, 'cache-a2');
    $r{all}->wait_texts(1, qr/cache_miss cache-a2/);
    is(scalar(@{[ $r{all}->texts($missed) ]}), 1, 'and is no miss');
    push @ws, $told;

    $_->disconnect for @ws;
};


subtest 'subscription_count; the oldest of several keys' => sub {
    my ($one, $two, $ann) = map { $t->ws_of('new-key') } 1 .. 3;
    subscribe_to($one, 'x');
    subscribe_to($two, 'x');
    join_presence($ann, 'presence-x', 'ann', undef, key => 'new-key',
                  secret => 'new-secret');
    $r{second}->wait_texts(5);

    is_deeply([ sort $r{second}->texts ], [ 'channel_occupied presence-x',
              'channel_occupied x', 'member_added presence-x ann',
              'subscription_count x 1', 'subscription_count x 2' ],
              'the default: all of these; counts but of presence channels');

    my @reqs = $r{second}->requests;
    like($reqs[0]{body}, qr/"subscription_count":1\}/, 'an integer');
    is(scalar(grep { !Chat::Receiver::is_signed($_, 'old-key', 'old-secret') }
              @reqs), 0, 'signed with the last pair');
    $_->disconnect for $one, $two, $ann;
};


# All at one time, since each takes some seconds.

subtest 'receivers that fail' => sub {
    $r{again}->answer('2*500 200');
    $r{dead}->answer(503);
    $r{redirect}->answer('redirect ' . $r{elsewhere}->port);
    $r{$_}->answer("1*$_ 204") for qw(hang slow reset half);
    $r{tlsbad}->answer(200);

    occupy("$_-1") for qw(again dead redirect hang slow reset half tls tlsbad);

    is(scalar $r{again}->wait_texts(1), 1, 'at last');

    my @reqs = $r{again}->requests;

    is(scalar @reqs, 3, 'P104: the third try');
    is($reqs[0]{body}, $reqs[$_]{body}, 'the same body') for 1, 2;
    is(Chat::Receiver::header($reqs[0], 'X-Chat-Webhook-Id'),
       Chat::Receiver::header($reqs[$_], 'X-Chat-Webhook-Id'), 'the same id')
        for 1, 2;
    cmp_ok($reqs[1]{time} - $reqs[0]{time}, '>=', 0.9, 'after 1 s');
    cmp_ok($reqs[2]{time} - $reqs[1]{time}, '>=', 1.9, 'after 2 s more');

    for my $name (qw(reset half hang slow)) {
        is(scalar $r{$name}->wait_texts(1), 1, "$name: arrives the next time");
        my @two = $r{$name}->requests;
        is(scalar @two, 2, "$name: two tries");
        is($two[0]{body}, $two[1]{body}, "$name: the same body");
        cmp_ok($two[1]{time} - $two[0]{time}, '>=', 1, "$name: later")
            if $name =~ /hang|slow/;
    }

    is(scalar $r{tls}->wait_texts(1), 1, 'https');
    is(scalar $r{tlsbad}->requests, 0, 'not with another certificate');
    like(console('tlsbad')->{last_error}, qr/certificate/, 'which is told');

    ok(wait_for(10, sub { $r{redirect}->requests >= 2 }), 'is tried again');
    is(scalar $r{elsewhere}->requests, 0, 'no redirect is followed');
    like(console('redirect')->{last_error}, qr/status 307/, 'which is told');
    is(console('redirect')->{queued}, 1, 'one waits');

    my $status = $t->status;
    ok($status->{webhook_requests_by_result}{$_}, "counted: $_")
        for qw(ok status timeout broken);
    ok($status->{webhooks}{queued}, 'and what waits');
    ok($status->{webhooks}{lag_milliseconds}, 'and how long');

    my $metrics = $t->http->get('/chat_status?format=prometheus')->{body};
    like($metrics, qr/^ngx_chat_$_ [1-9]/m, "Prometheus: $_")
        for qw(webhook_queue_events webhook_lag_seconds);
    like($metrics, qr/^ngx_chat_webhook_dead_events \d/m, 'and the dead');

    my $incidents = from_json($t->http->get('/console/incidents',
                                            { 'X-Chat-Console' => 1 })->{body});
    is(scalar(grep { $_->{kind} eq 'webhook_failed' }
              @{ $incidents->{incidents} }), 1, 'an incident');
};


subtest 'what is given up can be sent again' => sub {
    ok(wait_for(30, sub { (console('dead')->{dead} || 0) == 1 }), 'given up');
    my $tries = $r{dead}->requests;
    cmp_ok($tries, '>=', 2, 'after more than one try');
    is($t->status->{webhooks}{dead}, 1, 'shown');
    is($t->status->{webhook_events_given_up}, 1, 'counted');
    like($server->error_log,
         qr/\[warn\].*webhook "\S*" of app "$id": 1 events are given up/,
         'logged');
    is($server->sqlite('SELECT error FROM webhook_events WHERE dead_at > 0'),
       'status 503', 'kept, with the reason');

    my ($row) = @{ from_json($t->http->get("/console/apps/$id/webhooks/dead",
                                     { 'X-Chat-Console' => 1 })->{body}) };
    is($row->{tries}, $tries, 'and with the number of tries');
    is($row->{url}, $r{dead}->url, 'and the URL');

    $r{dead}->answer(200);

    is($t->http->request('POST', "/console/apps/$id/webhooks/revive", {},
                         '')->{status}, 403, 'not without the header');
    is($t->http->request('POST', '/console/apps/2/webhooks/revive',
                         { 'X-Chat-Console' => 1 }, '')->{status}, 404,
       'an app without webhooks');
    is($t->http->request('POST', "/console/apps/$id/webhooks/revive",
                         { 'X-Chat-Console' => 1 }, '')->{status}, 200,
       'the console');
    is_deeply([ $r{dead}->wait_texts(1) ], [ 'channel_occupied dead-1' ],
              'is sent again');

    $r{dead}->answer(500);
    occupy('dead-2');
    ok(wait_for(30, sub { console('dead')->{dead} == 1 }), 'another one');
    $r{dead}->answer(200);
    $server->sqlite('UPDATE webhook_events SET dead_at = 0 WHERE dead_at > 0');
    is_deeply([ $r{dead}->wait_texts(2) ],
              [ 'channel_occupied dead-1', 'channel_occupied dead-2' ],
              'by the sqlite3 shell');
    ok(wait_for(10, sub { console('dead')->{dead} == 0 }), 'none is left');
    ok(console('dead')->{last_success}, 'the console tells when');
};


subtest 'the herald is killed' => sub {
    my ($pid, @more) = $server->senders;

    ok($pid, 'there is one') or return;
    is(scalar @more, 0, 'one only: others have no libcurl');

    $r{again}->forget;
    $r{again}->answer('1*hang 200');
    occupy('again-2');
    ok(wait_for(10, sub { $r{again}->requests == 1 }), 'a request under way');

    $t->kill_worker($pid);

    is(scalar $r{again}->wait_texts(1), 1, 'another one sends it');
    my @reqs = $r{again}->requests;
    is($reqs[0]{body}, $reqs[1]{body}, 'the same body');
    is(Chat::Receiver::header($reqs[0], 'X-Chat-Webhook-Id'),
       Chat::Receiver::header($reqs[1], 'X-Chat-Webhook-Id'), 'the same id');
};


subtest 'a reload with a request under way' => sub {
    $r{again}->forget;
    $r{again}->answer('1*hang 200');
    occupy('again-3');
    ok(wait_for(10, sub { $r{again}->requests == 1 }), 'a request under way');

    $server->reload;

    is_deeply([ $r{again}->wait_texts(1) ], [ 'channel_occupied again-3' ],
              'the new one sends it');
    my @reqs = $r{again}->requests;
    is($reqs[0]{body}, $reqs[-1]{body}, 'the same body');
    cmp_ok($reqs[1]{time} - $reqs[0]{time}, '<', 20, 'soon');
};


subtest 'nothing is left behind by a crash' => sub {
    # of the reload: the clients are sent away over seconds
    wait_for(20, sub { $server->all_worker_pids == 2 });
    %open = ();
    $r{rooms}->forget;

    my $ws = $t->ws;
    subscribe_to($ws, 'room-ghost');
    subscribe_to($ws, 'room-back');
    is(scalar $r{rooms}->wait_texts(2, qr/occupied/), 2, 'occupied');

    $server->kill_all;
    $server->start;
    $t->{http} = Chat::HTTP->new(port => $t->port);

    $ws = $t->ws;
    subscribe_to($ws, 'room-back');

    is_deeply([ $r{rooms}->wait_texts(1, qr/vacated/, 40) ],
              [ 'channel_vacated room-ghost' ],
              'who has not come back is told to be gone');
    is(scalar(grep { /room-back/ } $r{rooms}->texts), 1,
       'and who has is told once');
    is($server->sqlite('SELECT channel FROM webhook_state'
                       . " WHERE channel LIKE 'room%'"),
       'room-back', 'so the books are right');
};


$t->finish;


subtest 'what nginx -t refuses' => sub {
    my $db = build_dir() . "/t/webhooks-conf-$$.db";
    my $n = 0;

    my $check = sub {
        my ($text, $like, %o) = @_;

        my $s = Chat::Server->new(app => $text, database => $db,
                                  http => $o{http} || '');

        if ($o{bare}) {
            my $conf = slurp($s->conf_file);
            $conf =~ s/chat_database .*;//;
            $conf =~ s/chat_history .*;|chat_publish .*;//g;
            spew($s->conf_file, $conf);
        }

        my ($rc, $out) = $s->check_conf;

        if ($like) {
            is($rc, 1, "refused: $text");
            like($out, $like, 'with the reason');
            like($out, qr/\[emerg\].* in \S*nginx\.conf:\d+$/m, 'and place');
        } else {
            is($rc, 0, "good: $text") or diag($out);
        }

        File::Path::remove_tree($s->dir);
        $s->{finished} = 1;
    };

    my $u = 'http://localhost/x';

    $check->("webhook $u;");
    $check->("webhook https://u:p\@host:8443/x?y=z channels=a,b-* batch=on"
             . " events=member_added retry=1d;\nwebhook $u retry=1s;");
    $check->('webhook;', qr/must have a URL/);
    $check->('webhook host/x;', qr/must begin with "https/);
    $check->('webhook ftp://host/;', qr/must begin with "https/);
    $check->('webhook http://host:99999/;', qr/port from 1 to 65535/);
    $check->('webhook http://;', qr/must begin with|must have a host/);
    $check->("webhook $u#x;", qr/has a character/);
    $check->("webhook $u events=member_aded;",
             qr/unknown event "member_aded".*member_added.*connection_closed/);
    $check->("webhook $u events=;", qr/must have names as "events"/);
    $check->("webhook $u events=member_added events=member_added;",
             qr/duplicate "events"/);
    $check->("webhook $u channels=a,b*c;", qr/must have names of channels/);
    $check->("webhook $u channels=;", qr/must have names of channels/);
    $check->("webhook $u batch=yes;", qr/"on" or "off" as "batch"/);
    $check->("webhook $u retry=0;", qr/time from 1s to 1d/);
    $check->("webhook $u retry=2d;", qr/time from 1s to 1d/);
    $check->("webhook $u retry=soon;", qr/time from 1s to 1d/);
    $check->("webhook $u redirect=on;", qr/invalid parameter "redirect=on"/);
    $check->("webhook $u; webhook $u batch=off;", qr/is duplicate/);
    $check->("webhook $u; webhook http://u:p\@localhost/x;",
             qr/is duplicate/);
    $check->("webhooks $u;", qr/is not known, write "webhook"/);
    $check->("chat_webhook $u;", qr/is not known, write "webhook"/);
    $check->("webhook $u events=client_event;",
             qr/"client_event", which needs "client_events on;"/);
    $check->("webhook $u events=subscription_count;",
             qr/needs "subscription_count on;"/);
    $check->("webhook $u;", qr/needs a database/, bare => 1);
    $check->('', qr/can't open/,
             http => 'chat_webhook_trusted_certificate nowhere.pem;');
    $check->('', qr/PEM/,
             http => 'chat_webhook_trusted_certificate nginx.conf;');
};


$_->down for values %r;
File::Path::remove_tree($dir) if Test::More->builder->is_passing;

done_testing();
