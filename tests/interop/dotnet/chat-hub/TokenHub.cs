using System;
using System.Collections.Concurrent;
using System.Security.Claims;
using System.Text.Encodings.Web;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

/// <summary>A hub for callers with a token.</summary>
public class TokenHub : Hub
{
    /// <summary>The user of the caller's token.</summary>
    public string Who() => Context.User.Identity.Name;

    /// <summary>Sends the name of the user to the connection that calls.</summary>
    public Task Tell() => Clients.Caller.SendAsync("Told", Who());
}

/// <summary>Any text is the token of the user before its dot, unless it was revoked. Each token that is accepted leaves a
/// line on standard output, which says where it was.</summary>
public class TokenHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string Name = "tokens";

    private static readonly ConcurrentDictionary<string, bool> Revoked = new();

    public static void Revoke(string token) => Revoked[token] = true;

    protected override Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization.ToString();
        var (token, place) = header.StartsWith("Bearer ", StringComparison.Ordinal)
            ? (header["Bearer ".Length..], "header")
            : (Request.Query["access_token"].ToString(), "query");
        if (token == "")
        {
            return Task.FromResult(AuthenticateResult.NoResult());
        }
        if (Revoked.ContainsKey(token))
        {
            return Task.FromResult(AuthenticateResult.Fail("revoked"));
        }
        Console.WriteLine($"TOKEN {token} {place} {Request.Method}");
        var identity = new ClaimsIdentity([new Claim(ClaimTypes.Name, token.Split('.')[0])], Name);
        return Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), Name)));
    }
}
