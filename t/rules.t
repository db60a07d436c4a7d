# Who may connect, and for how long (P9-P11, P19, P78), and how many channels
# a connection may have.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::SSL ();
use Test::More;
use Time::HiRes qw(time);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_json);
use Chat::Pusher qw(send_subscribe subscribe_to join_presence signin
                    is_refused is_fatal events_of channel_auth);
use Chat::Server qw(APP_KEY SCALE wait_for);
use Chat::WebSocket qw(CLOSE TEXT read_all);

my %apps = (
    off     => { key => 'off', secret => 's3' },
    tls     => { key => 'tls', secret => 's4' },
    two     => { key => 'two', secret => 's5' },
    few     => { key => 'few', secret => 's6' },
    known   => { key => 'known', secret => 's7' },
    knowntwo => { key => 'knowntwo', secret => 's8' },
);


sub raw {
    my ($t, $key) = @_;

    return Chat::WebSocket->new(port => $t->port,
                                path => "/app/$key?protocol=7");
}


# Subscribes to so many channels: how many of them it gets.

sub subscribe_many {
    my ($ws, $n) = @_;

    my $got = 0;

    for my $i (1 .. $n) {
        send_subscribe($ws, "c$i");

        next if $i % 100 && $i < $n;

        $got += grep { $_->{event} eq 'pusher_internal:subscription_succeeded' }
                events_of($ws);
    }

    return $got;
}


sub tests {
    my ($t) = @_;

    my $workers = $t->server->{workers};


    subtest 'P9: enabled off' => sub {
        is_fatal(raw($t, 'off'), 4003, 'a disabled app') for 1 .. 3;
        ok($t->ws, 'another is not');
    };


    subtest 'P10: tls_only' => sub {
        is_fatal(raw($t, 'tls'), 4000, 'plain');

        my $s = IO::Socket::SSL->new(PeerAddr => '127.0.0.1',
                                     PeerPort => $t->server->tls_port,
                                     SSL_verify_mode => 0)
            or die "TLS: $IO::Socket::SSL::SSL_ERROR";

        print $s join "\r\n", 'GET /app/tls?protocol=7 HTTP/1.1',
            'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
            'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '';

        my $got = '';
        my $end = time() + 60 * SCALE;

        while ($got !~ /connection_established/ && time() < $end) {
            sysread $s, $got, 4096, length $got or last;
        }

        like($got, qr{^HTTP/1\.1 101 }, 'over TLS: 101');
        like($got, qr/pusher:connection_established/, 'established');
        unlike($got, qr/4000/, 'no error');
        close $s;
    };


    subtest 'P11: max_connections' => sub {
        my @ws = map { $t->ws_of('two') } 1 .. 2;

        # on whichever worker
        is_fatal(raw($t, 'two'), 4004, "connection $_") for 3 .. 12;

        subscribe_to($_, 'x') for @ws;
        ok($_->nothing_waits, 'the two notice nothing') for @ws;
        ok($t->ws, 'nor does another app');

        $ws[0]->disconnect;
        my $new;

        ok(wait_for(5, sub {
            $new = raw($t, 'two');
            return $new->next_event->{event}
                   eq 'pusher:connection_established';
        }), 'there is a place when one has left');
        is_fatal(raw($t, 'two'), 4004, 'one');

        # a handshake that failed takes no place
        $_->disconnect for $new, $ws[1];
        ok(wait_for(5, sub {
            my @all = map { raw($t, 'two') } 1 .. 2;
            return 2 == grep { $_->next_event->{event}
                               eq 'pusher:connection_established' } @all;
        }), 'both are free again');
    };


    subtest 'channels_per_connection' => sub {
        my $ws = $t->ws_of('few');

        subscribe_to($ws, 'one');
        subscribe_to($ws, 'private-two', %{$apps{few}});
        join_presence($ws, 'presence-three', 'u', undef, %{$apps{few}});

        for my $channel ('four', 'private-four', 'presence-four',
                         'cache-four')
        {
            send_subscribe($ws, $channel, %{$apps{few}},
                           $channel =~ /^pres/ ? (data => '{"user_id":"u"}')
                                               : ());
            is_refused($ws, $channel, qr/\S/, "$channel is one too many");
        }

        $ws->unsubscribe('one');
        ok(subscribe_to($ws, 'four'), 'another for it');
        send_subscribe($ws, 'one');
        is_refused($ws, 'one', qr/\S/, 'three');

        # refused ones do not count
        $ws->unsubscribe($_) for 'four', 'private-two', 'presence-three';
        send_subscribe($ws, "private-$_", auth => 'few:x') for 1 .. 5;
        events_of($ws);
        subscribe_to($ws, $_) for 'a', 'b', 'c';
        send_subscribe($ws, 'd');
        is_refused($ws, 'd', qr/\S/, 'three, after some that were refused');

        is(signin($ws, { id => 'u' }, %{$apps{few}})->{event},
           'pusher:signin_success', 'a sign-in is no channel');
        is(subscribe_to($ws, '#server-to-user-u')->{data}, '{}',
           "nor is the user's own");

        my $other = $t->ws_of('few');
        ok(subscribe_to($other, $_), 'another connection has its own')
            for 'a', 'b', 'c';

        is(subscribe_many($t->ws, 1001), 1000, '1,000 by default');
        is(subscribe_many($t->ws_of('many'), 1001), 1001, '0: no limit');
    };


    subtest 'P78: authorization_timeout' => sub {
        my $start = time();
        my %app = %{$apps{known}};
        my $anonymous = $t->ws;

        # each has 2 s from when it connects
        my %ways = (
            idle      => sub { },
            talks     => sub { },
            public    => sub { subscribe_to($_[0], 'x') },
            cache     => sub { subscribe_to($_[0], 'cache-x') },
            refused   => sub { send_subscribe($_[0], 'private-x',
                                              auth => 'known:x') },
            private   => sub { subscribe_to($_[0], 'private-x', %app) },
            encrypted => sub { subscribe_to($_[0], 'private-encrypted-x',
                                            %app) },
            presence  => sub { join_presence($_[0], 'presence-x', 'u', undef,
                                             %app) },
            signin    => sub { signin($_[0], { id => 'u' }, %app) },
        );
        my %ws;

        for my $name (sort keys %ways) {
            $ws{$name} = $t->ws_of('known');
            $ways{$name}->($ws{$name});
        }

        my (%code, %ended, %text);
        my %name = map { $ws{$_} => $_ } keys %ws;
        my $asked = 0;

        # ten times that
        read_all(20, [ values %ws ], sub {
            my ($ws, $f) = @_;
            my $name = $name{$ws};

            $ended{$name} = time() - $start if $f->[0] eq 'eof';
            return if $f->[0] eq 'eof';

            $text{$name} = $f->[1] if $f->[0] == TEXT && $f->[1] =~ /4009/;

            if ($f->[0] == CLOSE) {
                $code{$name} = unpack 'n', $f->[1];
                $ws->send_close($code{$name});
            }
        }, sub {
            # that it talks does not help
            $ws{talks}->send_text('{"event":"pusher:ping"}')
                if $asked++ < 20 && !$ended{talks};

            return keys %ended >= 5;
        });

        is(join(' ', sort keys %ended), 'cache idle public refused talks',
           'who has not been authorized');

        for my $name (sort keys %ended) {
            is($code{$name}, 4009, "$name: closed with 4009");
            cmp_ok($ended{$name}, '>', 1.9, "$name: not before its time");

            my $e = from_json($text{$name} || '{}');
            is($e->{event}, 'pusher:error', "$name: an error frame first");
            is($e->{data}{message}, 'Connection not authorized within timeout',
               "$name: section 3.8's words");
        }

        for my $name (qw(private encrypted presence signin)) {
            $ws{$name}->send_text('{"event":"pusher:ping"}');
            my ($pong) = grep { $_->{event} eq 'pusher:pong' }
                         events_of($ws{$name});
            ok($pong, "$name: lives on");
        }

        ok($anonymous->nothing_waits, "another app's, too");

        # once is enough: one that comes later is sent away before it
        $ws{private}->unsubscribe('private-x');
        is($t->ws_of('known')->wait_close(20), 4009, 'another one is closed');
        ok($ws{private}->nothing_waits, 'one that was authorized stays');
    };


    # Section 3.8.
    subtest 'P11 P78: who is not authorized is not in the quota' => sub {
        my @anonymous = map { raw($t, 'knowntwo') } 1 .. 4;

        is($_->next_event->{event}, 'pusher:connection_established',
           'anonymous') for @anonymous;
    };
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers, tls => 1, apps => <<'END');
    chat_app 3 { key off;    secret s3; enabled off; }
    chat_app 4 { key tls;    secret s4; tls_only on; }
    chat_app 5 { key two;    secret s5; max_connections 2; }
    chat_app 6 { key few;    secret s6; channels_per_connection 3; }
    chat_app 9 { key many;   secret s9; channels_per_connection 0; }
    chat_app 7 { key known;  secret s7; authorization_timeout 2s; }
    chat_app 8 { key knowntwo; secret s8; authorization_timeout 60s;
                 max_connections 2; }
END

    subtest "$workers workers" => sub { tests($t) };
    $t->finish;
}

done_testing();
