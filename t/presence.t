# Presence channels (P41-P51): who is let in, who is there, who is told.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_text);
use Chat::Pusher qw(sign channel_auth member send_subscribe subscribe_to
                    join_presence signin is_event is_refused is_error
                    events_of users_of);
use Chat::Server qw(APP_KEY wait_for);

my $serial = 0;


# A channel that no subtest has used.

sub fresh { return 'presence-' . ++$serial }


sub added {
    my ($e, $channel, $member, $name) = @_;

    is($e->{event}, 'pusher_internal:member_added', "$name: member_added")
        or diag(join ' ', %$e);
    is($e->{channel}, $channel, "$name: its channel");
    ok(!exists $e->{user_id}, "$name: no user_id");
    is(ref \$e->{data}, 'SCALAR', "$name: its data is a string");
    is_deeply(from_text($e->{data}), $member, "$name: its member");
}


sub removed {
    my ($e, $channel, $id, $name) = @_;

    is($e->{event}, 'pusher_internal:member_removed',
       "$name: member_removed") or diag(join ' ', %$e);
    is($e->{channel}, $channel, "$name: its channel");
    is_deeply(from_text($e->{data}), { user_id => $id }, "$name: its data");
}


sub tests {
    my ($t) = @_;

    subtest 'P41 P43: what is no member' => sub {
        my ($ws, $witness) = $t->spread(2);
        my $c = fresh();

        join_presence($witness, $c, 'w');

        for my $data (undef, '', 'x', '{', '[]', 'null', '7', '"7"', '{}',
                      '[{"user_id":"7"}]', '{"user_id":null}',
                      '{"user_id":""}', '{"user_id":{}}', '{"user_id":["7"]}',
                      '{"user_id":true}', '{"user_info":{"a":1}}',
                      '{"User_id":"7"}', '{"user_id":"7"}x',
                      '{"user_id":"7"}{}', '{"user_id":"\ud800"}')
        {
            my $say = defined $data ? $data : '(none)';

            send_subscribe($ws, $c, data => $data);
            is_refused($ws, $c, qr/\S/, "P41: $say");
        }

        for my $info ('[]', '"x"', '7', 'true', '[{}]', '1.5') {
            send_subscribe($ws, $c,
                           data => qq({"user_id":"7","user_info":$info}));
            is_refused($ws, $c, qr/^user_info supplied to presence subscription is invalid - if supplied it must be a type of hash$/,
                       "P43: user_info $info");
        }

        # data as an object is no string to sign
        $ws->send_event({ event => 'pusher:subscribe', data => {
            channel => $c, channel_data => { user_id => '7' },
            auth => channel_auth($ws, $c, '{"user_id":"7"}') } });
        is((events_of($ws))[0]{event}, 'pusher:error',
           'P41: channel_data is an object');

        $t->nothing('nobody came', $ws, $witness);
        is(users_of(join_presence($ws, $c, '7')), '7 w',
           'the socket is good, the list is clean');
    };


    subtest 'P33 P37: signatures' => sub {
        my ($ws, $other) = $t->spread(2);
        my $c = fresh();
        my $data = member('7', { name => 'Ann' });

        for my $auth (channel_auth($ws, $c), channel_auth($ws, $c, '{}'),
                      channel_auth($ws, $c, "$data "),
                      channel_auth($other, $c, $data),
                      channel_auth($ws, fresh(), $data))
        {
            send_subscribe($ws, $c, data => $data, auth => $auth);
            is_refused($ws, $c, qr/^Invalid signature: Expected HMAC SHA256 hex digest of \Q@{[ $ws->socket_id ]}:$c:$data\E(?:,|$)/,
                       'of something else');
        }

        send_subscribe($ws, $c, data => $data, auth => undef);
        is_refused($ws, $c, qr/\S/, 'none');

        ok(subscribe_to($ws, $c, data => " \n$data\t"),
           'every byte of channel_data counts');
    };


    subtest 'P42: numbers' => sub {
        my ($ws, $other, $third) = $t->spread(3);
        my $c = fresh();

        join_presence($other, $c, 'o');

        for my $number ('10', '0', '-5', '9007199254740993',
                        '12345678901234567890123')
        {
            my $e = subscribe_to($ws, $c, data => "{\"user_id\":$number}");

            like($e->{raw}, qr/\\"ids\\":\[(?:\\"o\\",)?\\"$number\\"/,
                 "$number: a string in ids");
            like($e->{raw}, qr/\\"$number\\":\{\}/, "$number: and in hash");
            added($other->next_event, $c, { user_id => $number }, $number);

            # the string is the same user
            is(users_of(join_presence($third, $c, $number)),
               join(' ', sort 'o', $number), "\"$number\" is the same");
            $third->unsubscribe($c);
            $ws->unsubscribe($c);
            removed($other->next_event, $c, $number, $number);
        }
    };


    subtest 'P44 P45: lists, who is told' => sub {
        my ($a, $b, $d) = $t->spread(3);
        my $c = fresh();

        my $e = subscribe_to($a, $c, data => member('7', { name => 'Ann' }));

        is(join(' ', sort grep { $_ ne 'raw' } keys %$e),
           'channel data event', 'no other member in the answer');
        is(ref \$e->{data}, 'SCALAR', 'its data is a string');
        is_deeply(from_text($e->{data}), { presence => {
                      count => 1, ids => ['7'],
                      hash => { 7 => { name => 'Ann' } } } },
                  'P44: the first sees itself');
        like($e->{data}, qr/"count":1\b/, 'P44: count is a number');
        like($e->{data}, qr/"ids":\["7"\]/, 'P44: ids are strings');

        $e = subscribe_to($b, $c, data => member('9'));
        my $p = from_text($e->{data})->{presence};

        is(users_of($p), '7 9', 'P44: the second sees both');
        is_deeply($p->{hash}, { 7 => { name => 'Ann' }, 9 => {} },
                  'P44: {} for one without user_info');

        $e = $a->next_event;
        added($e, $c, { user_id => '9' }, 'P45: the other gets it');
        unlike($e->{data}, qr/user_info/, 'no user_info where there is none');

        $p = join_presence($d, $c, "\x{e4}\x{1f600}\"\\/",
                           { name => "O'N\x{e9}\x{2028}\"", x => [1, { y => undef }] });

        my $odd = { user_id => "\x{e4}\x{1f600}\"\\/",
                    user_info => { name => "O'N\x{e9}\x{2028}\"",
                                   x => [1, { y => undef }] } };

        is($p->{count}, 3, 'a third');
        is_deeply($p->{hash}{ $odd->{user_id} }, $odd->{user_info},
                  'odd bytes in the list');
        added($_->next_event, $c, $odd, 'odd bytes') for $a, $b;

        $t->nothing('P45: the joiner gets none, the others one', $a, $b, $d);

        $d->unsubscribe($c);
        removed($_->next_event, $c, $odd->{user_id}, 'odd bytes') for $a, $b;
        $t->nothing('who leaves is told nothing', $d);

        is(users_of(join_presence($d, $c, 'd')), '7 9 d', 'and again');
        added($_->next_event, $c, { user_id => 'd' }, 'again') for $a, $b;
    };


    subtest 'P46 P47: several sockets of one user' => sub {
        my ($watcher, @tabs) = $t->spread(4);
        my $c = fresh();

        join_presence($watcher, $c, 'w');
        join_presence($tabs[0], $c, 'u', { tab => 0 });
        added($watcher->next_event, $c,
              { user_id => 'u', user_info => { tab => 0 } }, 'first');

        for my $i (1, 2) {
            my $p = join_presence($tabs[$i], $c, 'u', { tab => $i });

            is(users_of($p), 'u w', "P46: socket $i gets the full list");
            is_deeply($p->{hash}{u}, { tab => 0 },
                      '3.4: the first user_info is kept');
        }

        $t->nothing('P46: nobody is told', $watcher, @tabs);

        # by unsubscribing, by a close frame, by the end of the connection
        $tabs[0]->unsubscribe($c);
        ok($tabs[0]->nothing_waits, 'the first has left');
        $t->nothing('P47: of which nothing is told', $watcher, $tabs[1]);

        $t->close_all($tabs[1]);
        $t->nothing('P47: nor of the second', $watcher, $tabs[2]);

        is(users_of(join_presence($tabs[0], $c, 'u')), 'u w',
           'one comes back, nothing changes');
        $tabs[0]->unsubscribe($c);
        $t->nothing('P46: nobody is told', $watcher);

        $tabs[2]->send_close(1000);
        removed($watcher->next_event, $c, 'u', 'P47: the last');
        $t->nothing('P47: exactly one', $watcher);

        my $p = join_presence($tabs[0], $c, 'u', { tab => 'new' });
        is_deeply($p->{hash}{u}, { tab => 'new' },
                  '3.4: after that, a new user_info');
        added($watcher->next_event, $c,
              { user_id => 'u', user_info => { tab => 'new' } }, 'anew');
    };


    subtest 'P25 on presence: subscribing twice' => sub {
        my ($ws, $watcher) = $t->spread(2);
        my $c = fresh();

        join_presence($watcher, $c, 'w');
        join_presence($ws, $c, 'u');
        $watcher->next_event;

        for my $id ('u', 'v') {
            send_subscribe($ws, $c, data => member($id));
            is_error($ws, undef, qr/^Existing subscription to channel $c$/,
                     "as $id");
        }

        events_of($ws);
        $t->nothing('nobody is told', $watcher);
        $ws->unsubscribe($c);
        removed($watcher->next_event, $c, 'u', 'the first was kept');
        $t->nothing('one membership', $watcher);
    };


    subtest 'P48: abrupt loss' => sub {
        my ($watcher, $ws, $rst) = $t->spread(3);
        my $c = fresh();

        join_presence($watcher, $c, 'w');
        join_presence($ws, $c, 'fin');
        join_presence($rst, $c, 'rst');
        $watcher->next_event for 1, 2;

        $ws->disconnect;
        removed($watcher->next_event, $c, 'fin', 'FIN');

        setsockopt $rst->socket, Socket::SOL_SOCKET(), Socket::SO_LINGER(),
                   pack('ii', 1, 0);
        $rst->disconnect;
        removed($watcher->next_event, $c, 'rst', 'RST');

        is(users_of(join_presence($t->ws, $c, 'x')), 'w x', 'the list');
    };


    subtest 'P49: presence_members' => sub {
        my %limited = (key => 'limited', secret => 'secret-3');
        my $c = fresh();
        my @ws = map { $t->ws_of('limited') } 1 .. 103;

        join_presence($ws[$_], $c, "u$_", undef, %limited) for 1 .. 100;

        send_subscribe($ws[101], $c, data => member('u101'), %limited);
        is_refused($ws[101], $c, qr/\S/, 'member 101');

        my $p = join_presence($ws[102], $c, 'u100', undef, %limited);
        is($p->{count}, 100, 'a second socket of member 100');
        is(@{$p->{ids}}, 100, 'the list of 100');
        is(keys %{$p->{hash}}, 100, 'the hash of 100');

        # its user is still there through another
        $ws[100]->unsubscribe($c);
        events_of($ws[100]);
        send_subscribe($ws[101], $c, data => member('u101'), %limited);
        is_refused($ws[101], $c, qr/\S/, 'member 101');

        $ws[1]->unsubscribe($c);
        events_of($ws[1]);
        $p = join_presence($ws[101], $c, 'u101', undef, %limited);
        is($p->{count}, 100, 'there is a place when one has left');

        # another channel has its own 100
        $p = join_presence($ws[0], fresh(), 'u', undef, %limited);
        is($p->{count}, 1, 'another channel');
    };


    subtest 'P49: no limit by default' => sub {
        my $c = fresh();
        my @ws = $t->spread(110);
        my $p;

        $p = join_presence($ws[$_], $c, "u$_") for 0 .. $#ws;
        is(users_of($p), join(' ', sort map { "u$_" } 0 .. $#ws),
           '110 members');
    };


    subtest 'P50: sizes' => sub {
        my ($ws, $watcher) = $t->spread(2);
        my $c = fresh();

        join_presence($watcher, $c, 'w');

        for my $id ('i' x 128, "\x{20ac}" x 128, '1' x 128) {
            is(join_presence($ws, $c, $id)->{count}, 2,
               'an id of 128 characters');
            added($watcher->next_event, $c, { user_id => $id }, '128');
            $ws->unsubscribe($c);
            removed($watcher->next_event, $c, $id, '128');
        }

        for my $id ('i' x 129, "\x{20ac}" x 129, 'i' x 5000) {
            send_subscribe($ws, $c, data => member($id));
            is_refused($ws, $c, qr/\S/, 'one of ' . length $id);
        }

        my $room = 1024 - length member('u', { a => '' });
        my $info = { a => 'x' x $room };

        is(length member('u', $info), 1024, 'a member of 1 kB');
        is_deeply(join_presence($ws, $c, 'u', $info)->{hash}{u}, $info,
                  'is taken');
        added($watcher->next_event, $c,
              { user_id => 'u', user_info => $info }, '1 kB');
        $ws->unsubscribe($c);
        removed($watcher->next_event, $c, 'u', '1 kB');

        for my $n ($room + 1, 5000, 30000) {
            send_subscribe($ws, $c, data => member('u', { a => 'x' x $n }));
            is_refused($ws, $c, qr/\S/, 'one with ' . $n . ' bytes more');
        }

        $t->nothing('of which nobody is told', $watcher);
    };


    subtest 'P51: the signed-in user' => sub {
        my ($ws, $watcher) = $t->spread(2);
        my $c = fresh();

        join_presence($watcher, $c, 'w');

        send_subscribe($ws, $c);
        is_refused($ws, $c, qr/\S/, 'not before the sign-in');

        is(signin($ws, '{"id":"7","user_info":{"name":"Ann"}}')->{event},
           'pusher:signin_success', 'signed in');

        my $e = subscribe_to($ws, $c);
        my $p = from_text($e->{data})->{presence};

        is(users_of($p), '7 w', 'joins without channel_data');
        is_deeply($p->{hash}{7}, { name => 'Ann' }, 'with its user_info');
        added($watcher->next_event, $c,
              { user_id => '7', user_info => { name => 'Ann' } }, 'others');

        my $c2 = fresh();
        is(users_of(join_presence($ws, $c2, 'other')), 'other',
           'channel_data wins where there is some');

        my $c3 = fresh();
        send_subscribe($ws, $c3, auth => channel_auth($ws, $c3, ''));
        is_refused($ws, $c3, qr/^Invalid signature/,
                   'signed is socket_id:channel, without a colon more');

        $t->close_all($ws);
        removed($watcher->next_event, $c, '7', 'the end');
    };


    subtest 'events on a presence channel' => sub {
        my ($a, $b) = $t->spread(2);
        my $c = fresh();

        join_presence($a, $c, 'a');
        my $one = $t->publish($c, 'between');
        join_presence($b, $c, 'b');
        my $two = $t->publish($c, 'both');

        is_event($a->next_event, 'news', $c, $one, 'before b came');
        added($a->next_event, $c, { user_id => 'b' }, 'b comes');
        is_event($_->next_event, 'news', $c, $two, 'to both') for $a, $b;
    };


    subtest 'apps are apart' => sub {
        my $ours = $t->ws;
        my $theirs = $t->ws_of('limited');
        my $c = fresh();

        join_presence($ours, $c, 'o');
        is(users_of(join_presence($theirs, $c, 't', undef, key => 'limited',
                                  secret => 'secret-3')), 't',
           'a channel of the same name has other members');
        $t->nothing('and nobody is told', $ours);
    };
}


# A killed worker's members are gone within a second or so (promise 6); to tell
# so, they have ten.

sub killed {
    my ($t) = @_;

    my $server = $t->server;
    my ($watcher, @ws) = $t->spread(9);
    my $c = fresh();

    join_presence($watcher, $c, 'w');
    join_presence($ws[$_], $c, "u$_") for 0 .. $#ws;
    $watcher->next_event for @ws;
    $t->nothing('all are there', $watcher);

    my ($victim) = grep { $_ != $watcher->header('X-Worker') }
                   map { $_->header('X-Worker') } @ws;
    my @lost = grep { $ws[$_]->header('X-Worker') == $victim } 0 .. $#ws;
    my @kept = grep { $ws[$_]->header('X-Worker') != $victim } 0 .. $#ws;

    # u0 of the victim's first has a second socket elsewhere
    my ($elsewhere) = grep { $_->header('X-Worker') != $victim } $t->spread(4);
    join_presence($elsewhere, $c, "u$lost[0]");
    my $twin = shift @lost;

    my %removed;

    $t->kill_worker($victim);

    while (keys %removed < @lost) {
        my $e = $watcher->next_event(10);

        last unless ($e->{event} || '') eq 'pusher_internal:member_removed';
        $removed{ from_text($e->{data})->{user_id} }++;
    }

    is(join(' ', sort keys %removed), join(' ', sort map { "u$_" } @lost),
       'member_removed of those of the killed worker');
    is(scalar(grep { $_ != 1 } values %removed), 0, 'once each');
    $t->nothing("none of u$twin, which is elsewhere, too", $watcher);

    wait_for(5, sub { $server->worker_pids == 4 });
    is(users_of(join_presence($t->ws, $c, 'new')),
       join(' ', sort 'new', 'w', "u$twin", map { "u$_" } @kept),
       'the list');
    $server->{workers_seen} = [ $server->worker_pids ];
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers, apps => <<'END');
    chat_app 3 { key limited; secret secret-3; presence_members 100; }
END

    subtest "$workers workers" => sub { tests($t) };
    subtest 'P48: a worker is killed' => sub { killed($t) } if $workers > 1;
    $t->finish;
}

done_testing();
