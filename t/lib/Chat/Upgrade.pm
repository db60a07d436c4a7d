package Chat::Upgrade;

# nginx's upgrade on the fly: a second master with its workers beside the first
# one, and clients of the workers of either.

use strict;
use warnings;

use Exporter 'import';
use Test::More;

use Chat::HTTP;
use Chat::Server qw(slurp wait_for);
use Chat::WebSocket;

our @EXPORT_OK = qw(cannot start_daemon upgrade workers_of on_worker ws_on
                    http_on old_ends new_ends);


# Why there can be none here, if so.

sub cannot {
    return 'nginx starts its successor without the environment by which '
           . 'valgrind and the sanitizers come along'
        if $ENV{CHAT_VALGRIND} || $ENV{CHAT_ASAN};

    return;
}


# The master that the file of its id names, unless it is that of before.

sub master {
    my ($server, $before) = @_;

    my $file = $server->dir . '/logs/nginx.pid';
    my ($pid) = -f $file ? slurp($file) =~ /(\d+)/ : ();

    return defined $pid && $pid != ($before || 0) ? $pid : undef;
}


sub workers_of {
    my ($master, @but) = @_;

    my %but = map { $_ => 1 } @but;

    return grep { !$but{$_} } Chat::Server::children($master);
}


# A master upgrades only where it has left the process that started it.

sub start_daemon {
    my ($server) = @_;

    (my $conf = $server->default_conf) =~ s/daemon off;//;
    $server->write_conf(conf => $conf);
    is(system($server->command), 0, 'nginx starts');

    ok(wait_for(10, sub {
           $server->{pid} = master($server);
           return $server->worker_pids == 2;
       }), 'with its workers');

    return;
}


# Returns the new master and its workers.

sub upgrade {
    my ($server) = @_;

    my ($master, @workers);

    kill 'USR2', $server->master_pid;

    ok(wait_for(10, sub {
           $master = master($server, $server->master_pid) or return 0;
           @workers = workers_of($master);
           return @workers == 2;
       }), 'there is a new master with its workers');

    return ($master, @workers);
}


# What $make->() makes, of one of the given workers.

sub on_worker {
    my ($make, $worker_of, @pids) = @_;

    my %want = map { $_ => 1 } @pids;

    for (1 .. 500) {
        my $c = $make->();
        return $c if $want{ $worker_of->($c) };
        $c->disconnect if $c->can('disconnect');
    }

    die "no connection to @pids";
}


# Of these two, answers have the header X-Worker.

sub ws_on {
    my ($port, @pids) = @_;

    return on_worker(
        sub { Chat::WebSocket->established(port => $port) },
        sub { $_[0]->header('X-Worker') }, @pids);
}


sub http_on {
    my ($port, @pids) = @_;

    return on_worker(
        sub { Chat::HTTP->new(port => $port) },
        sub { $_[0]->get('/chat_status')->{headers}{'x-worker'} }, @pids);
}


# The old one ends, which was told to let its workers go: the server is the new
# one from then on.

sub old_ends {
    my ($server, $new) = @_;

    my $old = $server->master_pid;

    ok(wait_for(15, sub { !workers_of($old, $new) }),
       'the old workers are gone');

    kill 'QUIT', $old;
    ok(wait_for(15, sub { !Chat::Server::is_alive($old) }),
       'the old master ends');

    $server->{pid} = $new;

    return;
}


sub new_ends {
    my ($server) = @_;

    my $pid = $server->master_pid;

    kill 'QUIT', $pid;
    ok(wait_for(15, sub { !Chat::Server::is_alive($pid) }),
       'the new one ends');
    undef $server->{pid};

    $server->finish;

    return;
}


1;
