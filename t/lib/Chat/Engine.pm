package Chat::Engine;

# A Redis (or Valkey) for a test, in a folder of its own and on a free port, and
# a proxy before it for each node, which can do what networks do.

use strict;
use warnings;

use File::Path ();
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use Chat::Server qw(SCALE build_dir free_port spew wait_for);

my $serial = 0;


sub program {
    for my $name (qw(redis-server valkey-server)) {
        for my $dir (split(/:/, $ENV{PATH}), '/usr/bin') {
            return "$dir/$name" if -x "$dir/$name";
        }
    }

    BAIL_OUT('there is no redis-server');
}


# new(conf => MORE LINES, port => N, sentinel => 1 for a sentinel)

sub new {
    my ($class, %args) = @_;

    my $dir = build_dir() . "/t/engine-$$-" . ++$serial;

    File::Path::remove_tree($dir);
    File::Path::make_path($dir);

    my $self = bless { conf => '', port => free_port(), %args, dir => $dir,
                       owner => $$, proxies => [] }, $class;

    $self->start;

    return $self;
}


sub port { $_[0]{port} }
sub pid  { $_[0]{pid} }
sub url  { 'redis://127.0.0.1:' . $_[0]{port} }


sub start {
    my ($self) = @_;

    my $save = $self->{sentinel} ? '' : 'save ""';

    spew("$self->{dir}/conf", <<"END");
bind 127.0.0.1
port $self->{port}
dir $self->{dir}
logfile $self->{dir}/log
$save
$self->{conf}
END

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        exec program(), "$self->{dir}/conf",
             $self->{sentinel} ? '--sentinel' : () or POSIX::_exit(127);
    }

    $self->{pid} = $pid;

    wait_for(10, sub { eval { $self->command('PING') eq 'PONG' } })
        or die 'the engine does not start';

    return;
}


# A command's answer: a string, a number, a list, or undef; it dies of an error.

sub command {
    my ($self, @words) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $self->{port})
        or die "connect: $!";

    print $socket '*' . @words . "\r\n"
                  . join '', map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $socket->flush;

    return reply($socket);
}


sub reply {
    my ($socket) = @_;

    my $line = <$socket>;
    die 'no answer' unless defined $line;

    my ($type, $rest) = $line =~ /^(.)(.*)\r\n$/s or die "an answer: $line";

    return $rest if $type eq '+' || $type eq ':';
    die "$rest\n" if $type eq '-';
    return undef  if $rest < 0;

    return [ map { reply($socket) } 1 .. $rest ] if $type eq '*';

    read $socket, my $text, $rest + 2;

    return substr $text, 0, $rest;
}


sub signal {
    my ($self, $signal) = @_;

    kill $signal, $self->{pid};

    return;
}


sub kill_hard {
    my ($self) = @_;

    kill 'CONT', $self->{pid};
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    undef $self->{pid};

    return;
}


# A proxy: connections to its port lead to the engine.

sub proxy {
    my ($self) = @_;

    my $proxy = Chat::Engine::Proxy->new($self->{port});

    push @{$self->{proxies}}, $proxy;

    return $proxy;
}


sub DESTROY {
    my ($self) = @_;

    return if $self->{owner} != $$;

    local $?;

    $_->finish for grep { $_ } @{$self->{proxies}};
    $self->kill_hard if $self->{pid};
    File::Path::remove_tree($self->{dir}) unless $ENV{CHAT_KEEP};
}


package Chat::Engine::Proxy;

# A process that passes bytes on, and is told what to do by lines:
#
#     pass        from now on, and what was held
#     hold        nothing passes either way; connections stay
#     cut         ends all connections; new ones are taken
#     refuse      ends all, and each new one at once
#     answers N   ends a connection when so many bytes of answers to scripts
#                 have passed from now on

use IO::Select;
use IO::Socket::INET;
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

use Chat::Server qw(close_inherited free_port);


# new(PORT): to the engine there.  A class with a serve() of its own may give
# more arguments for it.

sub new {
    my ($class, $to, @more) = @_;

    my $port = free_port();
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "listen: $!";

    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!";

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        close_inherited(fileno $listener, fileno $theirs);
        $class->can('serve')->($listener, $theirs, $to, @more);
        POSIX::_exit(0);
    }

    close $theirs;
    $ours->autoflush(1);

    return bless { port => $port, pid => $pid, control => $ours, owner => $$ },
           $class;
}


sub port { $_[0]{port} }
sub url  { 'redis://127.0.0.1:' . $_[0]{port} }


# It is done when this returns.

sub tell {
    my ($self, $what) = @_;

    print { $self->{control} } "$what\n";
    readline $self->{control};

    return;
}


sub finish {
    my ($self) = @_;

    return unless $self->{pid} && $self->{owner} == $$;

    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    undef $self->{pid};

    return;
}


# ---- the process

sub serve {
    my ($listener, $control, $to) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my %pair;                       # of each socket, by number: the other one
    my %is_node;                    # sockets to nodes
    my ($mode, $left) = ('pass', undef);

    my $end = sub {
        my @sockets = @_;

        for my $socket (@sockets) {
            my $other = defined fileno $socket
                        ? delete $pair{fileno $socket} : undef;
            next unless $other;
            delete $pair{fileno $other};
            close $_ for $socket, $other;
        }
    };

    $control->autoflush(1);

    while (1) {
        my $select = IO::Select->new($listener, $control);

        $select->add(map { $_->[0] } values %{{ map { $_ => [ $_ ] }
                                                values %pair }})
            if $mode ne 'hold';

        for my $socket ($select->can_read) {

            if ($socket == $control) {
                my $line = readline $control;
                POSIX::_exit(0) unless defined $line;

                my ($what, $n) = split ' ', $line;

                if ($what eq 'answers') {
                    $left = $n;
                } else {
                    $mode = $what eq 'cut' ? 'pass' : $what;
                }

                $end->(values %pair) if $what eq 'cut' || $what eq 'refuse';
                print $control "done\n";
                last;
            }

            if ($socket == $listener) {
                my $node = $listener->accept or next;

                next if $mode eq 'refuse';

                my $engine = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                                   PeerPort => $to) or next;
                $pair{fileno $node} = $engine;
                $pair{fileno $engine} = $node;
                $is_node{fileno $node} = 1;
                delete $is_node{fileno $engine};
                next;
            }

            my $other = defined fileno $socket ? $pair{fileno $socket} : undef;
            next unless $other;

            my $n = sysread $socket, my $bytes, 65536;

            if (!$n) {
                $end->($socket);
                next;
            }

            # a script's answer begins with "*2\r\n$2\r\nOK"
            if (defined $left && !$is_node{fileno $socket}
                && $bytes =~ /^\*2\r\n\$2\r\nOK\r\n\$\d/)
            {
                $bytes = substr $bytes, 0, $left;
                undef $left;
                syswrite $other, $bytes;
                $end->($socket);
                next;
            }

            my $at = 0;

            while ($at < length $bytes) {
                my $sent = syswrite $other, $bytes, length($bytes) - $at, $at;
                last unless defined $sent;
                $at += $sent;
            }
        }
    }
}


1;
