package Chat::Liar;

# A proxy before an engine that understands what passes, and changes answers.
# It is a Chat::Engine::Proxy with other words.
#
# An answer is a tree: [ TYPE, VALUE ], where TYPE is RESP's byte, and VALUE a
# string, a list of trees, or undef for nil.

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use POSIX ();

use Chat::Engine;

our @ISA = ('Chat::Engine::Proxy');
our @EXPORT_OK = qw(resp);


# new(PORT, name => sub { my ($words, $tree) = @_; ... }, ...)
#
# A lie gets a command and its answer, and returns what is sent: bytes; a list
# of bytes, and bytes that follow them for ever; or undef for the truth.  tell()
# with the name of one ends all connections; with "" it is honest again.

sub new {
    my ($class, $to, %lies) = @_;

    return $class->SUPER::new($to, \%lies);
}


# How often it has lied since it was told to.

sub told {
    my ($self) = @_;

    print { $self->{control} } "?\n";

    return int readline $self->{control};
}


sub DESTROY {
    local $?;

    $_[0]->finish;
}


# ---- RESP

# A tree, and how many bytes it has taken; nothing where it is not there yet.

sub parse {
    my ($text, $at) = @_;

    my $end = index $$text, "\r\n", $at;
    return if $end < 0;

    my $type = substr $$text, $at, 1;
    my $rest = substr $$text, $at + 1, $end - $at - 1;

    $at = $end + 2;

    return ([ $type, $rest ], $at)  if $type =~ /[-+:]/;
    return ([ $type, undef ], $at)  if $rest < 0;

    if ($type eq '$') {
        return if length $$text < $at + $rest + 2;
        return ([ $type, substr $$text, $at, $rest ], $at + $rest + 2);
    }

    my @items;

    for (1 .. $rest) {
        (my $item, $at) = parse($text, $at) or return;
        push @items, $item;
    }

    return ([ $type, \@items ], $at);
}


sub resp {
    my ($tree) = @_;

    my ($type, $value) = @$tree;

    return "$type$value\r\n" if $type =~ /[-+:]/;
    return "$type-1\r\n"     if !defined $value;
    return '$' . length($value) . "\r\n$value\r\n" if $type eq '$';

    return '*' . @$value . "\r\n" . join '', map { resp($_) } @$value;
}


# ---- the process

sub serve {
    my ($listener, $control, $to, $lies) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my %node;           # of each socket, by number: its connection
    my ($lie, $told) = ('', 0);

    my $end = sub {
        for my $c (@_) {
            next if $c->{ended}++;
            delete @node{ map { fileno $_ } @$c{qw(node engine)} };
            close $_ for @$c{qw(node engine)};
        }
    };

    $control->autoflush(1);

    while (1) {
        my @all = values %{{ map { $_ => $_ } values %node }};
        my @flooding = grep { defined $_->{flood} } @all;
        my ($read, $write) = IO::Select::select(
            IO::Select->new($listener, $control,
                            map { ($_->{node}, $_->{engine}) } @all),
            IO::Select->new(map { $_->{node} } @flooding), undef);

        for my $socket (@{ $write || [] }) {
            my $c = $node{fileno $socket} or next;

            $socket->blocking(0);
            $end->($c) if !defined syswrite($socket, $c->{flood})
                          && !$!{EAGAIN};
        }

        for my $socket (@{ $read || [] }) {

            if ($socket == $control) {
                my $line = readline $control;
                POSIX::_exit(0) unless defined $line;
                chomp $line;

                if ($line eq '?') {
                    print $control "$told\n";
                    next;
                }

                ($lie, $told) = ($line, 0);
                $end->(values %{{ map { $_ => $_ } values %node }});
                print $control "done\n";
                last;
            }

            if ($socket == $listener) {
                my $node = $listener->accept or next;
                my $engine = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                                   PeerPort => $to) or next;

                $node{fileno $node} = $node{fileno $engine}
                    = { node => $node, engine => $engine, commands => [],
                        asked => '', answered => '' };
                next;
            }

            my $c = defined fileno $socket ? $node{fileno $socket} : undef;
            next if !$c;

            if (!sysread $socket, my $bytes, 65536) {
                $end->($c);
                next;

            } elsif ($socket == $c->{node}) {
                $c->{asked} .= $bytes;
                syswrite $c->{engine}, $bytes;

                while (my ($tree, $at) = parse(\$c->{asked}, 0)) {
                    substr($c->{asked}, 0, $at) = '';
                    push @{ $c->{commands} },
                         [ map { $_->[1] } @{ $tree->[1] } ];
                }

                next;

            } else {
                $c->{answered} .= $bytes;
            }

            while (my ($tree, $at) = parse(\$c->{answered}, 0)) {
                my $truth = substr $c->{answered}, 0, $at, '';
                my $words = shift @{ $c->{commands} };
                my $said = $lie eq '' ? undef : $lies->{$lie}->($words, $tree);

                $told++ if defined $said;

                if (ref $said) {
                    ($said, $c->{flood}) = @$said;
                }

                syswrite $c->{node}, $said // $truth;
            }
        }
    }
}


1;
