using System;
using System.Collections.Generic;
using System.IdentityModel.Tokens.Jwt;
using System.Linq;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Json;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

// A hub at /chathub that requires a token, by ASP.NET Core's JwtBearer with its default options, and what tests of
// tokens need. It prints "LISTENING url" once it serves. Environment:
//   TOKEN_SECRET=base64  the secret of HS256 to HS512
//   TOKEN_KEYS=json      a JSON Web Key Set: further keys that tokens may be signed with
// POST /mint?algorithm=RS256&handler=json signs the claims of the body, with JsonWebTokenHandler (json) or
// JwtSecurityTokenHandler (jwt). GET /keys are the public keys of these tokens, GET /user is who a token describes.
var secret = new SymmetricSecurityKey(
    Convert.FromBase64String(Environment.GetEnvironmentVariable("TOKEN_SECRET")));
var foreign = new JsonWebKeySet(Environment.GetEnvironmentVariable("TOKEN_KEYS")).GetSigningKeys();
var rsa = RSA.Create(2048);
var curves = new Dictionary<string, ECDsa>
{
    ["ES256"] = ECDsa.Create(ECCurve.NamedCurves.nistP256),
    ["ES384"] = ECDsa.Create(ECCurve.NamedCurves.nistP384),
    ["ES512"] = ECDsa.Create(ECCurve.NamedCurves.nistP521),
};

var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
builder.Services.AddSignalR();
builder.Services.AddAuthorization();
builder.Services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer(options =>
{
    options.TokenValidationParameters = new TokenValidationParameters
    {
        ValidAudience = "us",
        ValidIssuer = "them",
        IssuerSigningKeys = foreign.Append(secret),
    };
    options.Events = new JwtBearerEvents
    {
        OnMessageReceived = context =>
        {
            if (context.Request.Headers.Authorization.Count == 0)
            {
                context.Token = context.Request.Query["access_token"];
            }
            return Task.CompletedTask;
        },
    };
});

var app = builder.Build();
app.UseAuthentication();
app.UseAuthorization();
app.MapHub<TokenHub>("/chathub").RequireAuthorization();
app.MapGet("/user", (ClaimsPrincipal user) => new
{
    id = user.FindFirstValue(ClaimTypes.NameIdentifier),
    roles = user.FindAll(ClaimTypes.Role).Select(claim => claim.Value),
}).RequireAuthorization();
app.MapGet("/keys", () => new { keys = curves.Select(each => Public(each.Key, each.Value)).Append(PublicRsa()) });
app.MapPost("/mint", (string algorithm, string handler, JsonElement claims) =>
{
    var values = claims.EnumerateObject().ToDictionary(each => each.Name, each => Plain(each.Value));
    var descriptor = new SecurityTokenDescriptor
    {
        Claims = values,
        Audience = "us",
        Issuer = "them",
        SigningCredentials = new SigningCredentials(Key(algorithm), algorithm),
    };
    if (handler == "json")
    {
        return new JsonWebTokenHandler().CreateToken(descriptor);
    }
    return new JwtSecurityTokenHandler().CreateEncodedJwt(descriptor);
});
app.Lifetime.ApplicationStarted.Register(() =>
{
    var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>();
    Console.WriteLine($"LISTENING {string.Join(' ', addresses.Addresses)}");
});
app.Run();

SecurityKey Key(string algorithm)
{
    if (algorithm.StartsWith("HS"))
    {
        return secret;
    }
    return curves.TryGetValue(algorithm, out var curve)
        ? new ECDsaSecurityKey(curve) { KeyId = algorithm }
        : new RsaSecurityKey(rsa) { KeyId = "rsa" };
}

object Public(string id, ECDsa curve)
{
    var key = JsonWebKeyConverter.ConvertFromECDsaSecurityKey(new ECDsaSecurityKey(curve));
    return new { kid = id, kty = key.Kty, crv = key.Crv, x = key.X, y = key.Y };
}

object PublicRsa()
{
    var key = JsonWebKeyConverter.ConvertFromRSASecurityKey(new RsaSecurityKey(rsa));
    return new { kid = "rsa", kty = key.Kty, n = key.N, e = key.E };
}

static object Plain(JsonElement value) => value.ValueKind switch
{
    JsonValueKind.String => value.GetString(),
    JsonValueKind.Number => value.GetInt64(),
    JsonValueKind.Array => value.EnumerateArray().Select(Plain).ToArray(),
    _ => value.GetBoolean(),
};

/// <summary>What a connection's token said.</summary>
[Authorize]
public class TokenHub : Hub
{
    public string UserIdentifier() => Context.UserIdentifier;

    [Authorize(Roles = "admin")]
    public string AdminOnly() => "welcome";
}
