# Hostile clients: each gets its defined answer, while another client notices
# nothing, the workers are the same ones, and the memory comes back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(time);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_json json_bytes);
use Chat::Pusher qw(sign channel_auth user_auth member send_subscribe
                    subscribe_to join_presence signin client_event is_event
                    is_refused is_error events_of users_of);
use Chat::Server qw(APP_KEY APP_SECRET wait_for);
use Chat::WebSocket qw(TEXT CLOSE);

my $many = $ENV{CHAT_VALGRIND} ? 500 : 10_000;


# Sends many frames, some at a time, and counts the answers' kinds: an event's
# name, and an error's code.

sub flood {
    my ($ws, $each, @texts) = @_;

    my (%got, $first);

    while (@texts) {
        $ws->send_raw(join '', map { $ws->frame(payload => $_) }
                      splice @texts, 0, $each);

        my $frames = $ws->drain;

        return { %got, ended => 1 } unless $frames;

        for my $f (@$frames) {
            my $e = from_json($f->[1]);
            my $kind = $e->{event};

            $kind =~ s/^pusher(?:_internal)?://;
            $kind .= ' ' . (defined $e->{data}{code} ? $e->{data}{code}
                                                     : 'null')
                if $kind eq 'error';
            $got{$kind}++;
        }
    }

    return \%got;
}


sub subscribe_text {
    my ($channel, %more) = @_;

    return json_bytes({ event => 'pusher:subscribe',
                        data => { channel => $channel, auth => '', %more } });
}


sub tests {
    my ($t) = @_;

    my ($witness, $friend) = $t->spread(2);

    subscribe_to($witness, 'private-witness');
    subscribe_to($friend, 'private-witness');
    join_presence($witness, 'presence-witness', 'w');

    # Others notice nothing: an event comes, and nothing else.

    my $unharmed = sub {
        my ($name) = @_;

        my $data = $t->publish('private-witness', $name);

        is_event($witness->next_event(60), 'news', 'private-witness', $data,
                 "$name: another client gets its event, and nothing else");
        $friend->next_event;

        $t->server->check_workers;
    };


    subtest "$many subscribes on one connection" => sub {
        my $before = $t->status;
        my $ws = $t->ws;

        is_deeply(flood($ws, 500, map { subscribe_text("c$_") } 1 .. $many),
                  { subscription_succeeded => $many }, 'each is answered');
        $unharmed->('many channels');

        my $data = $t->publish("c$many", 'last');
        is_event($ws->next_event, 'news', "c$many", $data, 'they work');

        is_deeply(flood($ws, 500, map { subscribe_text("c$_") } 1 .. $many),
                  { 'error null' => $many }, 'and once more: none');
        is_deeply(flood($ws, 500, (subscribe_text('one')) x $many),
                  { 'error null' => $many - 1, subscription_succeeded => 1 },
                  'one channel so often');
        is_deeply(flood($ws, 500, map { qq({"event":"pusher:unsubscribe","data":{"channel":"c$_"}}) }
                                  1 .. $many), {}, 'unsubscribing');
        is_deeply(flood($ws, 500, map { qq({"event":"pusher:unsubscribe","data":{"channel":"c$_"}}) }
                                  1 .. $many), { 'error null' => $many },
                  'which they are not any more');

        # all in one go, and without reading: every frame of it, or 4200
        my $rude = $t->ws;
        my $pid = fork();
        die "fork: $!" unless defined $pid;

        if ($pid == 0) {
            $rude->send_raw(join '', map { $rude->frame(payload =>
                subscribe_text("r$_")) } 1 .. $many);
            POSIX::_exit(0);
        }

        $unharmed->('while they come');
        waitpid $pid, 0;

        my ($n, $end) = (0, '');

        while ($n < $many) {
            my $e = $rude->next_event;

            if (!defined $e->{event}) {
                $end = $e->{close} || join ' ', %$e;
                last;
            }

            $n++ if $e->{event} =~ /subscription_succeeded$/;
            last if $e->{event} eq 'pusher:error';
        }

        ok($n == $many || $end eq '4200',
           "without reading: $n answers, $end") or diag($end);

        $t->close_all($ws, $rude);
        ok(wait_for(5, sub {
            $t->status->{channels} <= $before->{channels} }),
           'the channels are gone');
        cmp_ok($t->status->{zone_used_bytes}, '<=',
               $before->{zone_used_bytes} + 4096, 'and so is their memory');
    };


    subtest 'channels_per_connection' => sub {
        my $ws = $t->ws_of('few');

        is_deeply(flood($ws, 500, map { subscribe_text("c$_") } 1 .. 2000),
                  { subscription_succeeded => 100, 'error null' => 1900,
                    subscription_error => 1900 }, '100 and no more');
        $unharmed->('too many channels');
    };


    subtest 'names at and beyond the limit' => sub {
        my $ws = $t->ws;

        for my $prefix ('', 'private-', 'presence-', 'cache-',
                        'private-cache-', 'private-encrypted-',
                        'private-encrypted-cache-', 'presence-cache-')
        {
            my $fit = $prefix . 'x' x (200 - length $prefix);
            my %data = $prefix =~ /^pres/ ? (data => member('u')) : ();

            is(subscribe_to($ws, $fit, %data)->{channel}, $fit,
               "${prefix}x of 200");
            events_of($ws);

            for my $n (201, 300, 1000, 30000) {
                my $long = $fit . 'x' x ($n - 200);

                send_subscribe($ws, $long, %data);
                is_refused($ws, $long, qr/\S/, "${prefix}x of $n");
                $ws->unsubscribe($long);
                is_error($ws, undef, qr/^No current subscription to channel/,
                         "unsubscribing ${prefix}x of $n");
            }
        }

        for my $name ('', ' ', "\0", "a\0b", "\x{1f600}" x 50,
                      "private-\x{e9}", '#', '##', '#server-to-user-',
                      '#server-to-user-' . 'u' x 128,
                      '#server-to-user-' . 'u' x 5000, '../../etc/passwd',
                      '%00', "private-x\r\nSet-Cookie: a", '*', 'x' x 60000,
                      '"', '\\', "private-\x{2028}", '${x}', '%s%s%n')
        {
            # auth_text of odd names is signed right all the same
            send_subscribe($ws, $name);
            is_refused($ws, $name, qr/\S/, 'name of ' . length $name);
        }

        $unharmed->('names');
    };


    subtest 'floods of client events' => sub {
        my ($ws, $victim) = $t->spread(2);
        my $channel = 'private-flood';
        my $n = $many / 2;
        my $start = time();

        subscribe_to($_, $channel) for $ws, $victim;

        my $got = flood($ws, 250, (qq({"event":"client-x","channel":"$channel","data":"x"})) x $n);
        my $seconds = time() - $start;
        my $sent = $n - ($got->{'error 4301'} || 0);

        is(join(' ', keys %$got), 'error 4301', 'nothing but 4301');
        cmp_ok($sent, '>=', 10, "$sent were sent");
        cmp_ok($sent, '<=', 10 * (int($seconds) + 2), 'ten in a second');
        is(scalar(map { @$_ } $t->fence($victim)), $sent,
           'those the other subscriber got');
        $unharmed->('a flood');

        # of those that are refused for another reason
        is_deeply(flood($ws, 250, ('{"event":"client-x","channel":"private-witness","data":"x"}') x $n),
                  { 'error null' => $n }, 'to where it has not subscribed');
        is_deeply(flood($ws, 250, ('{"event":"client-x"}') x $n),
                  { 'error null' => $n }, 'without a channel');
        is_deeply(flood($ws, 50, (json_bytes({ event => 'client-x',
                            channel => $channel, data => 'x' x 60000 })) x 500),
                  { 'error null' => 500 }, 'of 60,000 bytes');
        is_deeply(flood($ws, 250, ('{]') x $n), { 'error null' => $n },
                  'what is no JSON');
        is_deeply(flood($ws, 250, ('{"event":"x"}') x $n),
                  { 'error null' => $n }, 'unknown events');
        is_deeply(flood($ws, 250, ('{"event":"pusher:ping"}') x $n),
                  { pong => $n }, 'pings');
        $t->nothing('the other has got nothing of it', $victim);
        $unharmed->('other floods');
    };


    subtest 'channel_data' => sub {
        my $ws = $t->ws;
        my $channel = 'presence-witness';

        for my $data ('x' x 60000, '{' x 30000, '[' x 30000,
                      '{"user_id":' x 3000, '{"user_id":"' . 'u' x 60000 . '"}',
                      '{"user_id":"u","user_info":' . '{"a":' x 3000 . '1'
                      . '}' x 3001, '{"user_id":"u","user_info":{'
                      . join(',', map { "\"k$_\":1" } 1 .. 5000) . '}}',
                      '{"user_id":' . '9' x 5000 . '}', '{"user_id":1e999}',
                      '{"user_id":-}', '{"user_id":01}', "\0", '{"user_id":"u"',
                      '{"user_id":"\uDC00"}', '{"user_id":"u","user_info":{"a":"'
                      . '\u0000' x 5000 . '"}}', 'null', '', "\x{feff}{\"user_id\":\"u\"}")
        {
            send_subscribe($ws, $channel, data => $data);
            is_refused($ws, $channel, qr/\S/,
                       'channel_data ' . substr($data, 0, 30));
        }

        # of any type
        for my $value ('7', 'true', '[]', '{}', '{"user_id":"u"}', '[[[[[1]]]]]')
        {
            $ws->send_text(qq({"event":"pusher:subscribe","data":{"channel":)
                           . qq("$channel","auth":") . channel_auth($ws, $channel)
                           . qq(","channel_data":$value}}));
            is_refused($ws, $channel, qr/^channel_data is not a string$/,
                       "channel_data $value");
        }

        # not UTF-8: RFC 6455, 8.1
        my $bad = $t->ws;
        $bad->send_text("{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":"
                        . "\"presence-x\",\"channel_data\":\"\xff\xfe\"}}");
        is($bad->wait_close, 1007, 'bytes that are no UTF-8');

        my $big = $t->ws;
        $big->send_raw($big->frame(payload => subscribe_text('presence-x',
            channel_data => 'x' x 300_000)));
        is($big->wait_close, 1009, '300,000 bytes');

        $unharmed->('channel_data');
        is(users_of(join_presence($ws, $channel, 'u')), 'u w',
           'none of them is a member');
        $ws->unsubscribe($channel);
        is(join(' ', map { s/.*://r } map { $witness->next_event->{event} } 1, 2),
           'member_added member_removed', 'of which it is told');
    };


    subtest 'signatures' => sub {
        my ($ws, $other) = $t->spread(2);
        my $n = $many / 10;
        my @hex = (0 .. 9, 'a' .. 'f');
        my $random = sub { join '', map { $hex[rand 16] } 1 .. 64 };

        for my $channel ('private-witness', 'presence-witness') {
            is_deeply(flood($ws, 100, map { subscribe_text($channel,
                          auth => APP_KEY . ':' . $random->(),
                          channel_data => '{"user_id":"evil"}') } 1 .. $n),
                      { 'error null' => $n, subscription_error => $n },
                      "$n of the right length on $channel");
        }

        is_deeply(flood($ws, 100, map { json_bytes({ event => 'pusher:signin',
                      data => { auth => APP_KEY . ':' . $random->(),
                                user_data => '{"id":"w"}' } }) } 1 .. $n),
                  { 'error null' => $n }, "$n sign-ins");

        for my $auth (channel_auth($ws, 'private-witness', undef,
                                   key => 'other-key',
                                   secret => 'other-secret'),
                      channel_auth($other, 'private-witness'),
                      'other-key:' . sign(APP_SECRET, $ws->socket_id
                                          . ':private-witness'),
                      ':' x 1000, APP_KEY x 100 . ':' . 'a' x 64,
                      APP_KEY . ':' . 'a' x 50000, "\0:\0", '%s:%n')
        {
            send_subscribe($ws, 'private-witness', auth => $auth);
            is_refused($ws, 'private-witness', qr/\S/,
                       'auth ' . substr($auth, 0, 40));
        }

        $unharmed->('signatures');
        is((events_of($ws))[0], undef, 'nothing came to the stranger');
        $t->nothing('none of them subscribed', $ws);
    };


    subtest 'user_data' => sub {
        my $ws = $t->ws;
        my @list = map { "watched-$_" } 1 .. 3000;

        for my $data ('{"id":"' . 'u' x 50000 . '"}', '[' x 30000,
                      '{"id":"u","watchlist":' . '[' x 5000,
                      '{"id":"u","watchlist":[' . '{},' x 5000 . '{}]}',
                      '{"id":"#server-to-user-w"}', '{"id":"w/../x"}')
        {
            my $e = signin($ws, $data);

            is($e->{event}, 'pusher:error', substr $data, 0, 40);
            is($e->{data}{code}, undef, 'code null');
        }

        my $before = $t->status;

        is(signin($ws, { id => 'u', watchlist => \@list })->{event},
           'pusher:signin_success', '3,000 to watch');
        is_error($ws, 4302, qr/\S/, 'too many');
        is($ws->next_event->{event}, 'pusher_internal:watchlist_events',
           'the first 100');

        my $again = $t->ws;
        my $data = json_bytes({ id => 'v',
                                watchlist => [ ('same') x 100 ] });

        signin($again, $data);
        my ($e) = events_of($again);
        is($e->{event}, 'pusher_internal:watchlist_events', '100 times one');
        like($e->{data}, qr/"same"/, 'who is named');

        $t->close_all($ws, $again);
        ok(wait_for(5, sub { $t->status->{channels} <= $before->{channels} }),
           'they leave nothing behind');
        $unharmed->('user_data');
    };


    subtest 'who leaves in the middle' => sub {
        for my $n (1 .. 50) {
            my $ws = $t->ws;
            my $all = join '', map { $ws->frame(payload => $_) }
                subscribe_text('private-x', auth => channel_auth($ws, 'private-x')),
                subscribe_text('presence-x', channel_data => member("m$n"),
                               auth => channel_auth($ws, 'presence-x',
                                                    member("m$n"))),
                qq({"event":"client-x","channel":"private-x","data":"x"});

            $ws->send_raw(substr $all, 0, int(rand length $all));
            $ws->disconnect;
        }

        ok(wait_for(5, sub {
            my $ws = $t->ws;
            my $users = users_of(join_presence($ws, 'presence-x', 'me'));
            $ws->unsubscribe('presence-x');
            return $users eq 'me';
        }), 'leaves no member behind');
        $unharmed->('leaving');
    };
}


for my $workers (1, 4) {
    # who is not read while there is a flood is no silent client
    my $t = Chat::Pusher->new(workers => $workers, zone => '32m',
                              http => 'chat_activity_timeout 1h;',
                              app => 'client_events on; '
                                     . 'channels_per_connection 0;',
                              apps => <<'END');
    chat_app 3 { key few; secret secret-3; channels_per_connection 100; }
END

    subtest "$workers workers" => sub { tests($t) };
    $t->finish;
}

done_testing();
