package Bench::Noise;

# How quiet the machine was: the time of a fixed piece of work on each core
# before and after a round, what others ran meanwhile, and what the hypervisor
# took.  Ratios are those of a round, so what matters is a round's noise; that
# the machine is another in each is said, and harms nothing.

use strict;
use warnings;

use Bench::Peer qw(binary slurp);
use POSIX ();
use Time::HiRes qw(time);

# beyond these, a round is noisy
use constant {
    SPREAD  => 0.10,
    FOREIGN => 0.05,
    STEAL   => 0.02,
};

my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());


# The cores that are used, and how many there are.

sub new {
    my ($class, $cores, @cpus) = @_;

    return bless { cores => $cores, cpus => \@cpus, rounds => [] }, $class;
}


# Busy and stolen seconds of all cores since the machine's start.

sub stat_cpu {
    my (undef, @n) = split ' ', (split /\n/, slurp('/proc/stat'))[0];

    return (($n[0] + $n[1] + $n[2] + $n[5] + $n[6]) / $ticks, $n[7] / $ticks);
}


# Seconds of CPU of this process, and of those that it has waited for.

sub own_cpu {
    my ($user, $system, $cuser, $csystem) = times;

    return $user + $system + $cuser + $csystem;
}


# Seconds that a fixed piece of work takes, on each core at the same time.

sub spin {
    my ($self) = @_;

    my (@pipes, %seconds);

    for my $cpu (@{$self->{cpus}}) {
        open my $pipe, '-|', 'taskset', '-c', $cpu,
             binary('load'), 'mode=spin'
            or die "no load generator: $!\n";

        push @pipes, [ $cpu, $pipe ];
    }

    for my $item (@pipes) {
        my ($cpu, $pipe) = @$item;
        my ($time) = <$pipe> =~ /^spin (\S+)/ or die "no time of a spin\n";

        $seconds{$cpu} = $time;
        close $pipe;
    }

    return \%seconds;
}


sub round_begins {
    my ($self) = @_;

    my $spins = $self->spin;

    $self->{begin} = [ $spins, time(), own_cpu(), stat_cpu() ];
}


sub round_ends {
    my ($self) = @_;

    my ($spins, $time, $own, $busy, $steal) = @{$self->{begin}};
    my ($busy_now, $steal_now) = stat_cpu();
    my $all = (time() - $time) * $self->{cores};
    my $foreign = ($busy_now - $busy - (own_cpu() - $own)) / $all;
    my $after = $self->spin;

    push @{$self->{rounds}}, {
        spins   => [ $spins, $after ],
        spread  => most(map { spread($spins->{$_}, $after->{$_}) }
                        @{$self->{cpus}}),
        foreign => most($foreign),
        steal   => most(($steal_now - $steal) / $all),
    };
}


sub spread {
    my @sorted = sort { $a <=> $b } @_;

    return $sorted[-1] / $sorted[0] - 1;
}


sub most {
    my ($most) = sort { $b <=> $a } @_;

    return defined $most && $most > 0 ? $most : 0;
}


# The verdict, in lines of text.

sub report {
    my ($self) = @_;

    my @rounds = @{$self->{rounds}};
    my @noisy = grep { $_->{spread} > SPREAD || $_->{foreign} > FOREIGN
                       || $_->{steal} > STEAL } @rounds;

    my %most = map { my $key = $_;
                     $key => 100 * most(map { $_->{$key} } @rounds) }
               qw(spread foreign steal);

    my $drift = most(map {
        my $cpu = $_;
        spread(map { map { $_->{$cpu} } @{$_->{spins}} } @rounds)
    } @{$self->{cpus}});

    my $text = sprintf("Noise: %d of %d rounds were noisy. Within a round, a "
                       . "fixed piece of work differed by up to %.0f %%, "
                       . "other processes had up to %.0f %% of the cores, the "
                       . "hypervisor %.1f %%. From round to round, that piece "
                       . "of work differed by up to %.0f %%.\n",
                       scalar @noisy, scalar @rounds,
                       @most{qw(spread foreign steal)}, $drift * 100);

    $text .= "**The machine was too noisy to conclude anything from this "
             . "run.**\n" if @noisy * 3 > @rounds;

    return $text;
}


1;
